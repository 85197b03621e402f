"""How a run of an agent is put together: its config, its parts, and training from begin to end."""
