"""How many windows a network computes at once, so that a window has the same bits alone and among others."""

from __future__ import annotations

import dataclasses
import functools
import os
from concurrent.futures import ThreadPoolExecutor

import torch

from trader.models.transformer import MarketTransformer
from trader.models.windows import WindowSource

__all__ = ["CHUNK", "GPU_CHUNK", "WIDE_CHUNK", "Chunk", "chunks_of", "wide_is_exact", "workers"]

CHUNK = 8
"""Windows that are computed at once at least: kernels choose how to add by shape, and small shapes choose otherwise."""

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


def chunks_of(n_asked: int, *, on_cpu: bool, wide: bool) -> list[Chunk]:
    """Cut an answer into chunks.

    >>> [(c.start, c.stop, c.size) for c in chunks_of(43, on_cpu=True, wide=True)]
    [(0, 32, 32), (32, 40, 8), (40, 43, 8)]
    """
    if not on_cpu:
        size = min(n_asked, GPU_CHUNK)
        return [Chunk(at, min(at + size, n_asked), size) for at in range(0, n_asked, size)]
    middle = n_asked - n_asked % WIDE_CHUNK if wide else 0
    chunks = [Chunk(at, at + WIDE_CHUNK, WIDE_CHUNK) for at in range(0, middle, WIDE_CHUNK)]
    return chunks + [Chunk(at, min(at + CHUNK, n_asked), CHUNK) for at in range(middle, n_asked, CHUNK)]


@functools.cache
def workers(n_workers: int) -> ThreadPoolExecutor:
    """Return threads for chunks; they are kept, for new ones would fetch their memory anew at every prediction."""
    os.register_at_fork(after_in_child=workers.cache_clear)  # a forked process has the pool without its threads
    return ThreadPoolExecutor(n_workers, thread_name_prefix="chunks")


def wide_is_exact(network: MarketTransformer, source: WindowSource) -> bool:
    """Whether the first windows of a source, at least `WIDE_CHUNK`, have the same bits in wide chunks and in others.

    It depends on processor, library, shapes and number of symbols alone, so one look at a panel's first windows is
    enough for a model and a universe. Call it with one thread.
    """
    with torch.inference_mode():
        ends = torch.arange(WIDE_CHUNK)
        whole = network(source.windows(ends), last=True)
        parts = [network(source.windows(part), last=True) for part in torch.split(ends, CHUNK)]
    fields = (field.name for field in dataclasses.fields(whole))
    return all(torch.equal(getattr(whole, f), torch.cat([getattr(part, f) for part in parts])) for f in fields)
