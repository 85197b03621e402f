"""Data to learn from: where they come from, how they are split and prepared, and the streams of their batches."""
