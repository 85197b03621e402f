"""Where the time of our own runs goes."""
