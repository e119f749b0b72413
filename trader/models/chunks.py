"""How many windows a network computes at once, so that a window has the same bits alone and among others."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch

from trader.models.transformer import MarketTransformer, Outputs
from trader.models.windows import Windows, random_windows

__all__ = ["CHUNK", "GPU_CHUNK", "NARROW_CHUNK", "WIDE_CHUNK", "Chunk", "chunks_of", "is_exact", "sizes_for", "workers"]

CHUNK = 8
"""Windows that are computed at once where others are not exact: kernels choose how to add by shape."""

NARROW_CHUNK = 2
"""Windows that are computed at once where no more are asked for, if they are found to have the bits of `CHUNK`."""

WIDE_CHUNK = 32
"""Windows that are computed at once where many are asked for, if they are found to have the bits of `CHUNK`."""

GPU_CHUNK = 64
"""Windows at most on a GPU, where nobody is promised equal bits."""


@dataclasses.dataclass(frozen=True, slots=True)
class Chunk:
    """Rows `start` to `stop` of an answer, computed as `size` windows; those that fill up are dropped."""

    start: int
    stop: int
    size: int


def sizes_for(n_asked: int) -> tuple[int, ...]:
    """Return the sizes other than `CHUNK` that would serve to compute so many windows on a processor.

    >>> sizes_for(1), sizes_for(8), sizes_for(34)
    ((2,), (), (32, 2))
    """
    wide = (WIDE_CHUNK,) * (n_asked >= WIDE_CHUNK)
    return wide + (NARROW_CHUNK,) * (0 < n_asked % CHUNK <= NARROW_CHUNK)


def chunks_of(n_asked: int, sizes: Sequence[int]) -> list[Chunk]:
    """Cut an answer into chunks of these sizes, the largest first; the last may have rows to spare.

    >>> [(c.start, c.stop, c.size) for c in chunks_of(41, (2, 8, 32))]
    [(0, 32, 32), (32, 40, 8), (40, 41, 2)]
    >>> [(c.start, c.stop, c.size) for c in chunks_of(11, (2, 8))]
    [(0, 8, 8), (8, 11, 8)]
    """
    chunks: list[Chunk] = []
    at = 0
    while (left := n_asked - at) > 0:
        enough = [size for size in sizes if size >= left]
        whole = [size for size in sizes if size <= left and size >= CHUNK]
        size = max(whole) if whole else min(enough)
        chunks.append(Chunk(at, min(at + size, n_asked), size))
        at += size
    return chunks


@functools.cache
def workers(n_workers: int) -> ThreadPoolExecutor:
    """Return threads for chunks; they are kept, for new ones would fetch their memory anew at every prediction."""
    os.register_at_fork(after_in_child=workers.cache_clear)  # a forked process has the pool without its threads
    return ThreadPoolExecutor(n_workers, thread_name_prefix="chunks")


def is_exact(network: MarketTransformer, windows: Windows, size: int) -> bool:
    """Whether windows like these have the same bits in chunks of `size` and in others.

    It depends on processor, library, shapes and number of symbols alone, so one look is enough for a model and a
    universe; the windows are drawn at random, for in those of a panel zeros might hide a difference. Call it with one
    thread.
    """
    drawn = random_windows(windows, max(size, CHUNK))
    with torch.inference_mode():
        found, expected = ([network(part, last=True) for part in drawn.split(n)] for n in (size, CHUNK))
    fields = (field.name for field in dataclasses.fields(Outputs))
    return all(
        torch.equal(*(torch.cat([getattr(part, name) for part in parts]) for parts in (found, expected)))
        for name in fields
    )
