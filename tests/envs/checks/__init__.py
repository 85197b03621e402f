"""The checks of environments find what they are for, and nothing in a sound one."""
