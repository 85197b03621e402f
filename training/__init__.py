"""What every kind of training shares: the loop, optimizer, logger, checkpoint, run folder, networks and claims."""
