"""Learning from data, from scratch: each file is an algorithm, a model, or what several of them share."""
