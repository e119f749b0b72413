"""The probability of backtest overfitting, by combinatorially symmetric cross-validation."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError

__all__ = ["OverfittingReport", "backtest_overfitting"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_STILL = 1e-14
_MOST_BLOCKS = 20
_CHUNK = 1 << 21  # cells of splits and trials that are held at once


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class OverfittingReport:
    """What becomes, out of sample, of the trial that was best in sample.

    Parameters
    ----------
    probability : float
        PBO: the share of splits in which it is not above the median of all trials out of sample.
    logits : ndarray of shape (n_splits,)
        Logit of its relative rank out of sample: 0 at the median, positive above.
    in_sample, out_of_sample : ndarray of shape (n_splits,)
        Its statistic on either side.
    slope, intercept, r_squared : float
        Performance degradation: regression of `out_of_sample` on `in_sample`. A slope below 0 says that the
        better a trial looked, the worse it did. NaN where `in_sample` does not vary.
    probability_of_loss : float
        Share of splits in which its statistic out of sample is below 0.
    n_trials, n_blocks : int
    statistic : str
    """

    probability: float
    logits: FloatArray
    in_sample: FloatArray
    out_of_sample: FloatArray
    slope: float
    intercept: float
    r_squared: float
    probability_of_loss: float
    n_trials: int
    n_blocks: int
    statistic: str

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers by name, ready for JSON; of the distributions the 5, 50 and 95 % quantiles."""
        plain = {
            field.name: value
            for field in dataclasses.fields(self)
            if not isinstance(value := getattr(self, field.name), np.ndarray)
        }
        for name in ("logits", "in_sample", "out_of_sample"):
            plain[name] = np.quantile(getattr(self, name), [0.05, 0.5, 0.95]).tolist()
        return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in plain.items()}


def backtest_overfitting(
    returns: FloatArray, *, n_blocks: int = 16, statistic: Literal["sharpe", "mean"] = "sharpe"
) -> OverfittingReport:
    """Estimate how likely the choice of the best trial is a choice of luck [1]_.

    The history is cut into blocks. Every choice of half of them is once the sample in which the best trial is
    picked, and the other half shows where that trial ranks among all.

    Parameters
    ----------
    returns : ndarray of shape (n_periods, n_trials)
        Of every trial that was looked at, in order of time, on the same periods. Any series per period whose mean
        or Sharpe ratio is what trials were chosen by, such as information coefficients.
    n_blocks : int, default=16
        Even, from 2 to 20. The periods that do not fill equal blocks are left out at the beginning.
    statistic : {"sharpe", "mean"}
        Per period. A trial whose returns do not vary in a sample has a Sharpe ratio of 0.

    Returns
    -------
    OverfittingReport

    Raises
    ------
    DataError
        If there are fewer than two trials or two periods a block, or a return is not finite.

    References
    ----------
    .. [1] Bailey, Borwein, López de Prado and Zhu (2017), "The probability of backtest overfitting", Journal of
       Computational Finance 20(4).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise = rng.normal(size=(640, 50))
    >>> backtest_overfitting(noise).probability > 0.3
    True
    >>> noise[:, 7] += 0.3
    >>> backtest_overfitting(noise).probability
    0.0
    """
    size = _block_size(returns, n_blocks, statistic)
    n_trials = returns.shape[1]
    # Large means would cancel in the sums of squares: deviations are summed, and the mean is added back.
    shift = returns.mean(axis=0)
    blocks = (returns[returns.shape[0] - n_blocks * size :] - shift).reshape(n_blocks, size, n_trials)
    sums, squares = blocks.sum(axis=1), (blocks**2).sum(axis=1)
    parts = []
    chosen = _halves(n_blocks)
    step = max(1, _CHUNK // n_trials)
    for first in range(0, chosen.shape[0], step):
        halves = chosen[first : first + step]
        sides = (
            _statistics(half @ sums, half @ squares, shift, size * n_blocks // 2, statistic)
            for half in (halves, 1.0 - halves)
        )
        parts.append(_fate_of_the_best(*sides))
    logits, in_sample, out_of_sample = (np.concatenate(part) for part in zip(*parts, strict=True))
    slope, intercept, r_squared = _regression(in_sample, out_of_sample)
    return OverfittingReport(
        probability=float((logits <= 0.0).mean()),
        logits=logits,
        in_sample=in_sample,
        out_of_sample=out_of_sample,
        slope=slope,
        intercept=intercept,
        r_squared=r_squared,
        probability_of_loss=float((out_of_sample < 0.0).mean()),
        n_trials=n_trials,
        n_blocks=n_blocks,
        statistic=statistic,
    )


def _block_size(returns: FloatArray, n_blocks: int, statistic: str) -> int:
    """Return the periods of a block, after checking the arguments."""
    if statistic not in ("sharpe", "mean"):
        raise DataError(f"statistic={statistic!r} is not allowed; sharpe and mean are")
    if n_blocks % 2 or not 2 <= n_blocks <= _MOST_BLOCKS:
        raise DataError(f"n_blocks={n_blocks} is not allowed; it must be even, from 2 to {_MOST_BLOCKS}")
    if returns.ndim != 2 or returns.shape[1] < 2:
        raise DataError(f"returns have shape {returns.shape}; (n_periods, n_trials) with two trials is the least")
    if not np.isfinite(returns).all():
        raise DataError("returns hold values that are not finite; give every trial a return in every period")
    size: int = returns.shape[0] // n_blocks
    if size < 2:
        raise DataError(f"{returns.shape[0]} periods are too few for n_blocks={n_blocks}; two a block are needed")
    return size


def _halves(n_blocks: int) -> FloatArray:
    """Return every choice of half of the blocks as rows of 1 and 0, shape (n_splits, n_blocks)."""
    places = np.array(list(itertools.combinations(range(n_blocks), n_blocks // 2)))
    chosen = np.zeros((places.shape[0], n_blocks))
    np.put_along_axis(chosen, places, 1.0, axis=1)
    return chosen


def _fate_of_the_best(inside: FloatArray, outside: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return logit, statistic in sample and out of sample of each split's best trial in sample."""
    rows = np.arange(inside.shape[0])
    best = inside.argmax(axis=1)
    found = outside[rows, best]
    below = (outside < found[:, None]).sum(axis=1)
    equal = (outside == found[:, None]).sum(axis=1)
    relative = (below + (equal + 1) / 2) / (outside.shape[1] + 1)  # ranks from 1, ties by their average
    return np.log(relative / (1.0 - relative)), inside[rows, best], found


def _statistics(sums: FloatArray, squares: FloatArray, shift: FloatArray, n: int, statistic: str) -> FloatArray:
    """Return the statistic of every split and trial from sums of deviations and of their squares."""
    deviation = sums / n
    mean: FloatArray = deviation + shift
    if statistic == "mean":
        return mean
    variance = np.maximum(squares - n * deviation**2, 0.0) / (n - 1)
    moves = variance > _STILL * (shift**2 + squares / n)
    ratio: FloatArray = np.divide(mean, np.sqrt(variance), out=np.zeros_like(mean), where=moves)
    return ratio


def _regression(x: FloatArray, y: FloatArray) -> tuple[float, float, float]:
    """Return slope, intercept and R squared of y on x."""
    dx, dy = x - x.mean(), y - y.mean()
    spread = float(dx @ dx)
    if spread == 0.0:
        return math.nan, math.nan, math.nan
    slope = float(dx @ dy) / spread
    total = float(dy @ dy)
    r_squared = slope**2 * spread / total if total > 0.0 else math.nan
    return slope, float(y.mean() - slope * x.mean()), r_squared
