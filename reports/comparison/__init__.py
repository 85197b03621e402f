"""Comparing groups of runs: reading them, grouping them, computing with their scores, and showing what came of it."""
