"""What is made from finished runs: tables, plots, scripts. It needs `training` only."""
