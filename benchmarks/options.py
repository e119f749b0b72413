"""What the caller of the benchmarks chose."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

__all__ = ["Options"]


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """How to run.

    Parameters
    ----------
    quick : bool
        A tenth of the work: shows that everything runs, its figures are rough.
    scratch : Path
        A folder for files that are passed to peers; it is removed afterwards.
    say : callable
        Told what happens, in a few words.
    """

    quick: bool
    scratch: Path
    say: Callable[[str], None] = lambda _text: None

    def scaled(self, n: int) -> int:
        """Return an amount of work, a tenth of it where the run is quick."""
        return n // 10 if self.quick else n
