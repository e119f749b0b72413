"""A small sample of training rows that travels with a model: what its explanations are relative to."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError

__all__ = ["Background", "draw_background"]

FloatArray = NDArray[np.float64]

BACKGROUND_ROWS = 100


@dataclasses.dataclass(frozen=True, slots=True)
class Background:
    """Rows that stand for a feature being absent: it takes their values instead of its own.

    Parameters
    ----------
    rows : ndarray of shape (n_background, n_features)
        At least one; NaN is missing.
    source : str
        Where they come from, in words.
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
        return f"{count} row{'' if count == 1 else 's'}: {self.source}"


def draw_background(rows: FloatArray, seed: int, *, source: str, n_rows: int = BACKGROUND_ROWS) -> Background:
    """Return `n_rows` rows drawn without replacement, in their order; all of them where there are no more.

    Parameters
    ----------
    rows : ndarray of shape (n, n_features)
    seed : int
    source : str
        Where `rows` come from.
    n_rows : int
        At least 1.

    Examples
    --------
    >>> background = draw_background(np.arange(6.0).reshape(3, 2), seed=0, source="three rows", n_rows=2)
    >>> background.rows.tolist()
    [[0.0, 1.0], [4.0, 5.0]]
    """
    if n_rows < 1:
        raise DataError(f"n_rows={n_rows} is not allowed; a background needs at least one row")
    if rows.shape[0] > n_rows:
        rows = rows[np.sort(np.random.default_rng(seed).choice(rows.shape[0], n_rows, replace=False))]
    return Background(rows, source)
