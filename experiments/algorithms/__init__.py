"""One script for each algorithm, on the environment that --env.id names: its presets, and what a sweep may change."""
