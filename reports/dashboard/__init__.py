"""The runs of this machine as pages for a browser: what is on them, how they are written, and who may read them."""
