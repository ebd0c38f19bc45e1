"""How jobs are remembered: one contract, one folder for each database."""
