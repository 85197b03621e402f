"""Learning that begins with a trained model: each file is a way to do it, or what several of them share."""
