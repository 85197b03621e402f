"""How a run of an agent is put together: its config, its parts, and training from beginning to end."""
