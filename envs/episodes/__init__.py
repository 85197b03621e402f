"""Finished episodes as arrays, and datasets of them on this machine."""
