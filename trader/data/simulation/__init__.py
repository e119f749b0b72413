"""Parts of the simulated market: its laws, its days and its trades."""
