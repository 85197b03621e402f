"""What is made of finished runs: tables, plots, scripts. It needs `training` only."""
