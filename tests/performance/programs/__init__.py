"""What runs in processes of its own: the target, the own load generator, and the bare programs that set the limits."""
