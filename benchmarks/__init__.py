"""How fast the platform is, beside others that do the same work with the same settings."""
