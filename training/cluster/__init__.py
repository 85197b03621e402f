"""Runs in other processes and on other machines: Ray, storages, and child processes that end with their parent."""
