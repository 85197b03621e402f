"""Runs in other processes and on other machines: Ray, storage, and child processes that end with their parent."""
