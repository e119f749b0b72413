"""Settings of torch that hold for a block of code and are put back after it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
import torch.utils.deterministic

from trader.core.errors import ModelError

__all__ = ["device_of", "reproducible", "threads"]


@contextlib.contextmanager
def threads(number: int) -> Iterator[None]:
    """Compute with so many threads on the processor: sums depend on how work is shared out."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def reproducible(seed: int, device: torch.device, n_threads: int) -> Iterator[None]:
    """Draw from generators seeded with `seed`, leave the caller's as they were, and use deterministic kernels.

    On the processor equal seeds then give equal bits. On CUDA fused kernels are kept, whose sums may differ in the
    last bits.
    """
    on_cpu = device.type == "cpu"
    guard: Any = torch.utils.deterministic  # its one attribute is set up in a way that type checkers do not see
    fill = guard.fill_uninitialized_memory
    before = torch.are_deterministic_algorithms_enabled()
    with threads(n_threads), torch.random.fork_rng(devices=[] if on_cpu else [device.index or 0]):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(on_cpu or before)
        guard.fill_uninitialized_memory = False  # it would cost a pass over every result
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)
            guard.fill_uninitialized_memory = fill


def device_of(name: str) -> torch.device:
    """Return the device that "auto", "cpu" or "cuda" stands for here.

    Raises
    ------
    ModelError
        If "cuda" is asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ModelError("device='cuda' is not there: torch sees no CUDA device; use 'auto' or 'cpu'")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
