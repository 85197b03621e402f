"""One run and its folder: its files, log, checkpoints and clock, its copies in trackers, its device and threads."""
