"""A small sample of training rows that travels with a model: what its explanations are relative to."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError, ModelError

__all__ = ["BACKGROUND_FILE", "BACKGROUND_ROWS", "Background", "draw_background"]

FloatArray = NDArray[np.float64]

BACKGROUND_FILE = "background.safetensors"
"""Name of the file beside a model's own."""

BACKGROUND_ROWS = 100
"""Enough that an explanation hardly depends on the draw, and a file of some ten kB."""


@dataclasses.dataclass(frozen=True, slots=True)
class Background:
    """Rows that stand for a feature being absent: it takes their values instead of its own.

    Parameters
    ----------
    rows : ndarray of shape (n_background, n_features)
        At least one; NaN is missing.
    source : str
        Where they come from, in words that follow "100 rows".
    """

    rows: FloatArray
    source: str

    def __post_init__(self) -> None:
        rows = np.array(self.rows, dtype=np.float64, order="C")
        if rows.ndim != 2 or rows.shape[0] < 1:
            raise DataError(f"a background of shape {rows.shape} is not allowed; it needs at least one row of features")
        rows[~np.isfinite(rows)] = np.nan
        rows.flags.writeable = False
        object.__setattr__(self, "rows", rows)

    @property
    def sha256(self) -> str:
        """Digest of the rows' shape and values."""
        return hashlib.sha256(repr(self.rows.shape).encode() + self.rows.tobytes()).hexdigest()

    @property
    def statement(self) -> str:
        """One sentence for people."""
        count = self.rows.shape[0]
        return f"{count} row{'' if count == 1 else 's'} {self.source}"

    def save(self, path: Path) -> None:
        """Write rows and source to a safetensors file; equal backgrounds give equal bytes."""
        from safetensors.numpy import save_file

        save_file({"rows": self.rows}, path, metadata={"source": self.source})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote; anything else raises ModelError naming the file."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy") as file:
                return cls(file.get_tensor("rows"), (file.metadata() or {})["source"])
        except (OSError, KeyError, DataError, SafetensorError) as error:
            raise ModelError(f"{path} does not hold a readable background: {error!r}") from error


def draw_background(rows: FloatArray, seed: int, *, source: str, n_rows: int = BACKGROUND_ROWS) -> Background:
    """Return `n_rows` rows drawn without replacement, in their order; all of them where there are no more.

    Parameters
    ----------
    rows : ndarray of shape (n, n_features)
    seed : int
    source : str
        What to say of them; see `Background`.
    n_rows : int
        At least 1.

    Examples
    --------
    >>> background = draw_background(np.arange(6.0).reshape(3, 2), seed=0, source="of three", n_rows=2)
    >>> background.rows.tolist()
    [[2.0, 3.0], [4.0, 5.0]]
    """
    if n_rows < 1:
        raise DataError(f"n_rows={n_rows} is not allowed; a background needs at least one row")
    if rows.shape[0] > n_rows:
        rows = rows[np.sort(np.random.default_rng(seed).choice(rows.shape[0], n_rows, replace=False))]
    return Background(rows, source)
