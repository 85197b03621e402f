"""What language models learn from and by: problems and who verifies them, dialogues, completions, log-probabilities."""
