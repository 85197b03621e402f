"""What agents act in: making, vectorizing, wrapping, restoring."""
