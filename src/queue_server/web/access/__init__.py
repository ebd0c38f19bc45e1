"""Who may ask: tokens, hosts and origins, and what each request needs."""
