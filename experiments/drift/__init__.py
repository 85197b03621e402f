"""Experiments about what changes while it is learned from."""
