"""The suites that every algorithm passes."""
