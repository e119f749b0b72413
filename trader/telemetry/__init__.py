"""Seeing what a run does: logs, metrics, latencies and a live stream. None of it can stop a run."""
