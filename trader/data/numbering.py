"""The arithmetic of numbered batches: which rows or instants batch `seq` holds."""

from __future__ import annotations

import dataclasses

__all__ = ["WARMUP_INSTANTS", "BatchPlan"]

WARMUP_INSTANTS = 512
"""Instants of a batch of bars before the start of trading."""


@dataclasses.dataclass(frozen=True, slots=True)
class BatchPlan:
    """Cuts `n_units` (rows of ticks, or instants of bars) into batches that are numbered from 0.

    The first `n_warmup` units go in batches of `WARMUP_INSTANTS`, the others in batches of `per_batch`; no batch
    holds units of both kinds. Any batch is found without looking at the ones before it.

    >>> plan = BatchPlan(n_units=1000, n_warmup=600, per_batch=150)
    >>> [plan.bounds(seq) for seq in range(len(plan))]
    [(0, 512), (512, 600), (600, 750), (750, 900), (900, 1000)]
    """

    n_units: int
    n_warmup: int
    per_batch: int

    def __post_init__(self) -> None:
        if not 0 <= self.n_warmup <= self.n_units:
            raise ValueError(f"n_warmup={self.n_warmup}; 0 to n_units={self.n_units} is allowed")
        if self.per_batch < 1:
            raise ValueError(f"per_batch={self.per_batch}; 1 or more is allowed")

    @property
    def n_warmup_batches(self) -> int:
        """The number of batches that hold warm-up."""
        return -(-self.n_warmup // WARMUP_INSTANTS)

    def __len__(self) -> int:
        return self.n_warmup_batches - (self.n_warmup - self.n_units) // self.per_batch

    def bounds(self, seq: int) -> tuple[int, int]:
        """Return the first unit of batch `seq` and the one after its last."""
        if not 0 <= seq < len(self):
            raise IndexError(f"seq={seq}; 0 to {len(self) - 1} is allowed")
        if seq < self.n_warmup_batches:
            first = seq * WARMUP_INSTANTS
            return first, min(first + WARMUP_INSTANTS, self.n_warmup)
        first = self.n_warmup + (seq - self.n_warmup_batches) * self.per_batch
        return first, min(first + self.per_batch, self.n_units)
