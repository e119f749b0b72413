"""Anomalies in market data and in returns: what is watched, by which rule, and how often it is wrong."""
