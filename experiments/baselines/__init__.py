"""What other experiments are compared with."""
