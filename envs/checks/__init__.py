"""What `check` asks of an environment before anything is trained in it, each question in a file of its own."""
