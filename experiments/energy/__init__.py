"""Experiments about what training costs in energy, and what that emits."""
