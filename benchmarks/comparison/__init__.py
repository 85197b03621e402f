"""Runs of ours and of peers in pairs, with the same settings."""
