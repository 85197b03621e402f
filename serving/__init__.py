"""What was learned, taken to use: exported for other programs, served, shared. It is loaded, and nothing is trained."""
