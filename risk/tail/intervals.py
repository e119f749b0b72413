"""How sure a quantile or shortfall beyond the sample is: profile likelihood."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from risk.tail.gpd import GpdTail, gpd_log_likelihood, mean_rise, rise
from trader.core.errors import DataError

__all__ = ["TailInterval", "tail_interval"]

FloatArray = NDArray[np.float64]

_SHAPES = np.linspace(-0.5, 0.995, 40)
_WIDEST = 1e3


@dataclasses.dataclass(frozen=True, slots=True)
class TailInterval:
    """A figure beyond the sample and the range that the data do not speak against.

    Parameters
    ----------
    estimate, low, high : float
        Losses. `high` is infinite if the data bound it nowhere.
    confidence : float
        Chance that such a range holds the truth.
    """

    estimate: float
    low: float
    high: float
    confidence: float


def tail_interval(
    losses: FloatArray,
    tail: GpdTail,
    level: float,
    figure: Literal["quantile", "shortfall"] = "quantile",
    confidence: float = 0.95,
) -> TailInterval:
    """Return a profile-likelihood interval [1]_ of a quantile or shortfall.

    Each value of the figure is given the best likelihood that any shape leaves it; those within half a chi-squared
    quantile of the best of all are in. Unlike an interval of standard errors it is wider upwards, as it should be.
    The threshold, and the share of losses beyond it, are taken as known. Shapes from −.5 to 1 are looked at.

    Parameters
    ----------
    losses : ndarray of shape (n_periods,)
        What the tail was fitted to.
    tail : GpdTail
    level : float
        Above that of the threshold.
    figure : {"quantile", "shortfall"}
    confidence : float, default=0.95

    Raises
    ------
    DataError
        If the level lies below the threshold or the confidence is not between 0 and 1.

    References
    ----------
    .. [1] McNeil, Frey and Embrechts (2015), "Quantitative risk management", section 5.2.

    """
    if not 0.0 < confidence < 1.0:
        raise DataError(f"confidence={confidence} is not allowed; above 0 and below 1 is")
    estimate = tail.quantile(level) if figure == "quantile" else tail.shortfall(level)
    if not math.isfinite(estimate):
        return TailInterval(estimate, math.nan, math.inf, confidence)
    excesses = np.asarray(losses, np.float64) - tail.threshold
    excesses = excesses[excesses > 0.0]
    rarity = (1.0 - level) / tail.chance
    height = rise if figure == "quantile" else mean_rise
    heights = np.array([height(shape, rarity) for shape in _SHAPES])

    def profile(value: float) -> float:
        return _best_likelihood(excesses, value - tail.threshold, height, heights, rarity)

    bar = profile(estimate) - 0.5 * float(special.chdtri(1, 1.0 - confidence))
    reach = estimate - tail.threshold
    low = _crossing(profile, bar, estimate, lambda step: tail.threshold + reach * (1.0 - 1e-6) * 0.8**step)
    high = _crossing(profile, bar, estimate, lambda step: tail.threshold + reach * 1.25**step)
    return TailInterval(estimate, low, high, confidence)


def _best_likelihood(
    excesses: FloatArray, reach: float, height: Callable[[float, float], float], heights: FloatArray, rarity: float
) -> float:
    """Return the best log likelihood over shapes when the figure lies `reach` above the threshold."""

    def lack(shape: float) -> float:
        found = gpd_log_likelihood(excesses, shape, reach / height(shape, rarity))
        return -found if math.isfinite(found) else 1e12

    possible = heights > 0.0
    shapes, scales = _SHAPES[possible], reach / heights[possible]
    inner = 1.0 + (shapes / scales)[:, None] * excesses
    logs = np.log(np.where(inner > 0.0, inner, np.inf)).sum(axis=1)
    on_grid = excesses.size * np.log(scales) + (1.0 / shapes + 1.0) * logs
    on_grid[~np.isfinite(on_grid)] = 1e12
    best = int(np.argmin(on_grid))
    bounds = (float(shapes[max(best - 1, 0)]), float(shapes[min(best + 1, shapes.size - 1)]))
    found = optimize.minimize_scalar(lack, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return -min(float(found.fun), float(on_grid[best]))


def _crossing(profile: Callable[[float], float], bar: float, estimate: float, step_to: Callable[[int], float]) -> float:
    """Return where the profile falls to the bar, walking away from the estimate in steps; infinite if it never does."""
    inside, step = estimate, 1
    while True:
        outside = step_to(step)
        if abs(outside - inside) < 1e-12 * abs(estimate):
            return outside
        if outside > _WIDEST * max(abs(estimate), 1e-12):
            return math.inf
        if profile(outside) < bar:
            break
        inside, step = outside, step + 1
    return float(optimize.brentq(lambda value: profile(value) - bar, inside, outside, xtol=1e-7 * abs(estimate)))
