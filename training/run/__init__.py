"""One run and its folder: its files, its log, its checkpoints, its clock, its copy in a tracker, how it computes."""
