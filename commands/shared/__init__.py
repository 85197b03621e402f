"""What commands are made of: where options come from, several runs in one call, what comes after a run."""
