"""What runs in processes of its own: the target, our load generator and the programs that set the limits."""
