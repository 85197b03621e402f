"""Algorithms of other libraries on our environments, run folders and checkpoints: Stable-Baselines3 and RLlib."""
