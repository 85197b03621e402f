"""What to run: one script is one experiment with a claim."""
