"""What is wrong with data before anything learns from them: columns, rows, labels, splits."""
