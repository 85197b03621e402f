"""Learning from tables and images."""
