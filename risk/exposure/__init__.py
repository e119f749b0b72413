"""Exposures: how much is held of what, how concentrated it is, and how fast it could be sold."""
