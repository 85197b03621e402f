"""Learning from data, from scratch: supervised, unsupervised and self-supervised, language models."""
