"""What several tests use: environments, recordings, packages of experiments."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The repository."""
