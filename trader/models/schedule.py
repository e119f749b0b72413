"""Who learns from which windows when: epochs over panel files, for one worker or many.

An epoch takes the files in an order drawn anew, and cuts them into as many consecutive shares of equal size as there
are workers; a file that lies across a cut is read by two. A worker reads its share file by file, pools a few files in
a buffer and draws the windows of a batch from all of them: what is random is the order of the files and the order in
a buffer. With a single worker and a buffer that holds all files, that is one random order of all windows.

All of it follows from a seed, so every worker knows what the others do, and a worker that starts again reads what its
predecessor would have read.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from trader.models.panel_files import Span

__all__ = ["Schedule", "cut_spans"]

IntArray = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True)
class Schedule:
    """What one worker reads.

    Parameters
    ----------
    training, validation : tuple of Span
        Instants at which windows end; in order of time.
    batch_size : int
        Windows of a step, of all workers together.
    n_epochs : int
    seed : int
    rank, n_workers : int
        Which worker this is, from 0, and how many there are.
    buffer_files : int
        Files whose windows are mixed.
    """

    training: tuple[Span, ...]
    validation: tuple[Span, ...]
    batch_size: int
    n_epochs: int
    seed: int
    rank: int = 0
    n_workers: int = 1
    buffer_files: int = 8

    @property
    def own_batch(self) -> int:
        """Windows of a step that this worker takes."""
        return max(1, self.batch_size // self.n_workers)

    @property
    def steps(self) -> int:
        """Steps of an epoch, the same for all workers; a remainder waits for another epoch's order."""
        smallest = sum(map(len, self.training)) // self.n_workers
        return max(1, smallest // self.own_batch)

    def share(self, epoch: int) -> tuple[Span, ...]:
        """Return what this worker learns from in an epoch (from 1), in the order of reading."""
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.training))
        return cut_spans([self.training[place] for place in order], self.n_workers)[self.rank]

    @property
    def own_validation(self) -> tuple[Span, ...]:
        """What this worker validates on after each epoch."""
        return self.validation_shares[self.rank]

    @property
    def validation_shares(self) -> list[tuple[Span, ...]]:
        """What each worker validates on; together, in order, it is the whole validation."""
        return cut_spans(self.validation, self.n_workers)

    def buffers(self, epoch: int) -> Iterator[tuple[tuple[Span, ...], int]]:
        """Yield the files that are mixed and the steps to make with them; the steps add up to `steps`."""
        share = self.share(epoch)
        whole = sum(map(len, share))
        seen = made = 0
        for start in range(0, len(share), self.buffer_files):
            buffer = share[start : start + self.buffer_files]
            seen += sum(map(len, buffer))
            due = round(self.steps * seen / whole)
            yield buffer, due - made
            made = due


def cut_spans(spans: Sequence[Span], n_shares: int) -> list[tuple[Span, ...]]:
    """Cut consecutive spans into shares whose sizes differ by one at most.

    Returns
    -------
    list of tuple of Span
        One a share; a span that lies across a cut is in both, in parts.
    """
    ends = np.cumsum([0, *map(len, spans)])
    cuts = [int(ends[-1]) * share // n_shares for share in range(n_shares + 1)]
    return [
        tuple(
            dataclasses.replace(span, start=span.start + max(low - begin, 0), stop=span.stop - max(end - high, 0))
            for span, begin, end in zip(spans, ends[:-1].tolist(), ends[1:].tolist(), strict=True)
            if max(low, begin) < min(high, end)
        )
        for low, high in itertools.pairwise(cuts)
    ]
