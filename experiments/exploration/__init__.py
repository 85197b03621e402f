"""Agents that must look for what is rewarded."""
