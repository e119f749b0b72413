"""What is to be simulated."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from trader.core.errors import DataError

__all__ = ["CHUNK_PATHS", "HOLDINGS", "MODELS", "SAMPLINGS", "SimulationSpec"]

MODELS = ("normal", "t", "bootstrap")
"""Multivariate normal, multivariate Student t, and blocks of the history as it was."""
SAMPLINGS = ("plain", "antithetic", "sobol")
HOLDINGS = ("rebalanced", "held")
"""Weights restored every period, or positions left to drift."""
CHUNK_PATHS = 8192
"""Paths that share a generator. A constant: with another, the same seed would draw other paths."""

_MAX_PATHS = 10**9
_SOBOL_DIMENSIONS = 21201


@dataclasses.dataclass(frozen=True, slots=True)
class SimulationSpec:
    """A simulation, but for the portfolio.

    Parameters
    ----------
    model : {"normal", "t", "bootstrap"}, default="normal"
    n_paths : int, default=10_000
        1 to 10⁹.
    horizon : int, default=10
        Periods a path lasts.
    levels : tuple of float, default=(0.95, 0.99)
        Confidences of VaR and ES, above .5 and below 1.
    seed : int, default=0
        Not negative. Seed, paths and horizon fix the result, whoever computes it.
    dtype : {"float32", "float64"}, default="float32"
        Of the random numbers and of values along a path; sums are float64.
    sampling : {"plain", "antithetic", "sobol"}, default="plain"
        `antithetic` mirrors every other path; `sobol` draws each chunk of 8,192 paths from a scrambled Sobol net of
        its own. The bootstrap is plain.
    holding : {"rebalanced", "held"}, default="rebalanced"
        With `rebalanced`, weights are restored each period; with `held`, positions drift as prices do.
    drift : bool, default=False
        Keep the sample's mean return. Without, returns are centred: a sample mean says little about the next days.
    degrees : float, optional
        Of freedom of the t, above 2; fitted by maximum likelihood if None.
    block : float, default=10.0
        Mean length of the bootstrap's blocks in periods; 1 draws periods independently.
    """

    model: str = "normal"
    n_paths: int = 10_000
    horizon: int = 10
    levels: tuple[float, ...] = (0.95, 0.99)
    seed: int = 0
    dtype: str = "float32"
    sampling: str = "plain"
    holding: str = "rebalanced"
    drift: bool = False
    degrees: float | None = None
    block: float = 10.0

    def __post_init__(self) -> None:
        for name, allowed in (
            ("model", MODELS),
            ("dtype", ("float32", "float64")),
            ("sampling", SAMPLINGS),
            ("holding", HOLDINGS),
        ):
            if getattr(self, name) not in allowed:
                raise DataError(f"{name}={getattr(self, name)!r} is not allowed; {', '.join(allowed)} are")
        if not 1 <= self.n_paths <= _MAX_PATHS:
            raise DataError(f"n_paths={self.n_paths} is not allowed; 1 to {_MAX_PATHS:,} are")
        if self.horizon < 1 or self.seed < 0:
            raise DataError(f"horizon={self.horizon}, seed={self.seed}: at least 1 and 0 are needed")
        if not self.levels or not all(0.5 < level < 1.0 for level in self.levels):
            raise DataError(f"levels={self.levels} is not allowed; confidences above .5 and below 1 are, e.g. .99")
        if self.degrees is not None and not 2.0 < self.degrees < math.inf:
            raise DataError(f"degrees={self.degrees} is not allowed; above 2 they must be, for a variance to exist")
        if not 1.0 <= self.block < math.inf:
            raise DataError(f"block={self.block} is not allowed; a mean length of 1 period or more is")
        if self.model == "bootstrap" and self.sampling != "plain":
            raise DataError(f"sampling={self.sampling!r} is not allowed with the bootstrap; plain is")

    @property
    def n_chunks(self) -> int:
        """Number of chunks, the last of which may be smaller."""
        return -(-self.n_paths // CHUNK_PATHS)

    def chunk_size(self, chunk: int) -> int:
        """Return the paths of a chunk, counted from 0."""
        return min(CHUNK_PATHS, self.n_paths - chunk * CHUNK_PATHS)

    def check_dimensions(self, n_series: int) -> None:
        """Raise DataError if Sobol points of `n_series` numbers a period have more dimensions than there are."""
        needed = self.horizon * (n_series + (self.model == "t"))
        if self.sampling == "sobol" and needed > _SOBOL_DIMENSIONS:
            raise DataError(f"horizon={self.horizon} needs {needed} Sobol dimensions; {_SOBOL_DIMENSIONS} exist")

    def generator(self, chunk: int) -> np.random.Generator:
        """Return the generator of a chunk; those of different chunks are independent."""
        return np.random.Generator(np.random.SFC64(np.random.SeedSequence(self.seed, spawn_key=(chunk,))))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return dataclasses.asdict(self) | {"levels": list(self.levels)}
