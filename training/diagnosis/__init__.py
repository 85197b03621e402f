"""What is wrong with a run, in plain words, with the evidence and the next thing to try."""
