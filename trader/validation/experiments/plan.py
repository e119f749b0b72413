"""What is fixed before an experiment starts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from numpy.typing import ArrayLike

from trader.core.errors import DataError
from trader.validation.experiments.dependence import variance_inflation
from trader.validation.experiments.results import check_alpha, finite_series

__all__ = ["ExperimentPlan", "suggested_block_length"]


@dataclass(frozen=True, slots=True)
class ExperimentPlan:
    """What is fixed before the first observation; changing it later would make the error rate a guess.

    Attributes
    ----------
    metric : str
        Name of the pre-registered metric.
    planned : int
        Observations at which the interval is narrowest, as from `sequential_sample_size`; at least
        ``min_blocks`` blocks. Watching longer stays valid.
    block_length : int
        Consecutive observations averaged into one, as from `suggested_block_length`.
    goal : {"maximise", "minimise"}
        Which direction of the metric is better.
    margin : float, default=0.0
        The improvement that must be exceeded, in the unit of the metric: 0 asks for superiority, a negative
        number for non-inferiority.
    alpha : float, default=0.05
        Two-sided, for all looks together.
    min_blocks : int, default=10
        Blocks before the first look, at least 4.
    """

    metric: str
    planned: int
    block_length: int = 20
    goal: Literal["maximise", "minimise"] = "maximise"
    margin: float = 0.0
    alpha: float = 0.05
    min_blocks: int = 10

    def __post_init__(self) -> None:
        check_alpha(self.alpha)
        if not self.metric:
            raise DataError("metric='' is not allowed; the pre-registered metric needs a name")
        if self.goal not in ("maximise", "minimise"):
            raise DataError(f"goal={self.goal!r} is not allowed; it must be maximise or minimise")
        if self.block_length < 1:
            raise DataError(f"block_length={self.block_length} is not allowed; it must be at least 1")
        if self.min_blocks < 4:
            raise DataError(f"min_blocks={self.min_blocks} is not allowed; it must be at least 4")
        if not math.isfinite(self.margin):
            raise DataError(f"margin={self.margin} is not allowed; it must be finite")
        if self.planned < self.min_blocks * self.block_length:
            least = self.min_blocks * self.block_length
            raise DataError(f"planned={self.planned} is not allowed; it must be at least {least}, the first look")


def suggested_block_length(pilot: ArrayLike, share: float = 0.05) -> int:
    """Return a block length from a series seen before the experiment.

    Parameters
    ----------
    pilot : array_like of shape (n,)
        Differences, or the champion's P&L, in order of time: at least 100 and not part of the experiment; no NaN.
    share : float, default=0.05
        Autocorrelation left between neighbouring blocks, if the pilot is AR(1), between 0 and 1.

    Returns
    -------
    int
        At least 10, over which heavy tails fade somewhat; at most a tenth of the pilot where that is more.

    Notes
    -----
    AR(phi) with ratio ``v = (1 + phi) / (1 - phi)`` leaves about ``(v - 1 / v) / (4 b)`` between means of b.

    Examples
    --------
    >>> import numpy as np
    >>> suggested_block_length(np.random.default_rng(0).normal(size=500))
    10
    """
    check_alpha(share, "share")
    series = finite_series("pilot", pilot)
    if series.size < 100:
        raise DataError(f"pilot has {series.size} values; it must have at least 100")
    ratio = variance_inflation(series)
    if not ratio > 1.0:
        return 10
    return max(10, min(math.ceil((ratio - 1.0 / ratio) / (4.0 * share)), series.size // 10))
