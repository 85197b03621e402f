"""Policies: from observations to actions, one class for each shape. A policy knows no loss."""
