"""Vector environments: N copies of one environment, stepped together under one contract."""
