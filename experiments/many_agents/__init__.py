"""Several agents in one match: teams, and players against each other."""
