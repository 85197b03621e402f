"""Environments: how they are made, our own tasks, vectors of many copies, and recorded episodes."""
