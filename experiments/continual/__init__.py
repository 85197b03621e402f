"""Experiments about tasks that come one after the other."""
