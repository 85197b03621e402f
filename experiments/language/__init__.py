"""Learning from text."""
