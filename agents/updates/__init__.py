"""What the updates of several algorithms are made of: estimators, losses, targets, critics."""
