"""What calls `fit` more than once: clients that train apart, tasks that come one after the other."""
