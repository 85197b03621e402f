"""Learning by acting: policies, rollouts and one file for each algorithm."""
