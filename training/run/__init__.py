"""One run and its folder: its files, its log, its checkpoints, its clock, its copy in W&B, its device and threads."""
