"""The Cornish-Fisher expansion: a normal quantile bent by skewness and kurtosis, where it may be."""

from __future__ import annotations

import dataclasses
import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from risk.results import check_level, check_sample
from trader.core.errors import DataError

__all__ = ["CornishFisher", "fit_cornish_fisher", "in_domain"]

FloatArray = NDArray[np.float64]

_NORMAL = NormalDist()


def in_domain(skewness: float, excess_kurtosis: float) -> bool:
    """Return whether the expansion rises with the normal quantile everywhere, and so is a distribution [1]_.

    References
    ----------
    .. [1] Maillard (2012), "A user's guide to the Cornish Fisher expansion".

    Examples
    --------
    >>> in_domain(-0.5, 2.0), in_domain(-0.5, 9.0)
    (True, False)
    """
    square = excess_kurtosis / 8.0 - skewness**2 / 6.0
    constant = 1.0 - excess_kurtosis / 8.0 + 5.0 * skewness**2 / 36.0
    return square >= 0.0 and constant >= 0.0 and skewness**2 / 9.0 - 4.0 * square * constant <= 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class CornishFisher:
    """Returns whose quantiles are ``mean + deviation · w(z)`` with w the expansion of third order.

    Parameters
    ----------
    mean, deviation, skewness, excess_kurtosis : float
        Of the returns.
    """

    mean: float
    deviation: float
    skewness: float
    excess_kurtosis: float

    @property
    def warnings(self) -> tuple[str, ...]:
        """See `Distribution`: outside Maillard's domain the figure is told not to be believed."""
        if in_domain(self.skewness, self.excess_kurtosis):
            return ()
        return (
            f"skewness {self.skewness:.2f} and excess kurtosis {self.excess_kurtosis:.2f} are outside the domain "
            "of the expansion, where a rarer loss may come out smaller (Maillard 2012)",
        )

    def var_es(self, level: float) -> tuple[float, float]:
        """See `Distribution`; the shortfall is the integral of the expansion, and at least the value at risk."""
        z = _NORMAL.inv_cdf(1.0 - check_level(level))
        s, k = self.skewness, self.excess_kurtosis
        tail = -_NORMAL.pdf(z) / (1.0 - level)
        shortfall = tail * (1.0 + z * s / 6.0 + (z * z - 1.0) * k / 24.0 - (2.0 * z * z - 1.0) * s * s / 36.0)
        var = -self.mean - self.deviation * float(_bend(z, s, k))
        return var, max(-self.mean - self.deviation * shortfall, var)

    def draw(self, generator: np.random.Generator, size: tuple[int, int]) -> FloatArray:
        """See `Distribution`."""
        bent = _bend(generator.standard_normal(size), self.skewness, self.excess_kurtosis)
        return np.asarray(self.mean + self.deviation * bent, np.float64)


def fit_cornish_fisher(returns: FloatArray) -> CornishFisher:
    """Return the expansion with the moments of a sample.

    Raises
    ------
    DataError
        If there are fewer than 10 periods, a number is not finite or the returns do not vary.
    """
    values = check_sample(returns, 10)
    mean = float(values.mean())
    deviations = values - mean
    variance = float(deviations @ deviations) / values.size
    if not math.sqrt(variance) > 1e-14 * abs(mean):
        raise DataError("returns do not vary; skewness and kurtosis do not exist")
    squares = deviations * deviations
    skewness = float(squares @ deviations) / values.size / variance**1.5
    kurtosis = float(squares @ squares) / values.size / variance**2 - 3.0
    return CornishFisher(mean, math.sqrt(variance * values.size / (values.size - 1)), skewness, kurtosis)


def _bend(z: float | FloatArray, s: float, k: float) -> float | FloatArray:
    square = z * z
    return z + (square - 1.0) * s / 6.0 + z * (square - 3.0) * k / 24.0 - z * (2.0 * square - 5.0) * s * s / 36.0
