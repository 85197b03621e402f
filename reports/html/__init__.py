"""The page about runs: what is known of each, its figures and sections, and the template that they are put into."""
