"""Learning to learn: classes that were never seen are told apart from a few examples, or from their names."""
