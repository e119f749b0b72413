"""Benchmarks: ours beside a peer on the same data in the same run; see `docs/benchmarks.md`."""
