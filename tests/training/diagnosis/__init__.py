"""Tests of training/diagnosis/, on the rows of real runs in runs/ (tests/support/diagnosed_runs.py)."""
