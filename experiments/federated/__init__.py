"""Experiments about data that stay where they are, and about what is given away of them."""
