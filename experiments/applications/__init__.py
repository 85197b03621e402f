"""Whole applications: a practitioner's problem from data to a page of results; see docs/applications/."""
