"""Games and grids, from what a player sees."""
