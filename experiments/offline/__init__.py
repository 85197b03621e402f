"""Agents that learn from recorded episodes, and go on from there."""
