"""The others, each with what its users have on: `python -m benchmarks.peers.NAME SETTINGS FOLDER` is one run."""
