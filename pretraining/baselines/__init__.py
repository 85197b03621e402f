"""Simple models that networks are compared with."""
