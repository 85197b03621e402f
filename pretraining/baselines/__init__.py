"""Cheap baselines that every network must be compared with."""
