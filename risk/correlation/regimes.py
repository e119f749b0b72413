"""Two regimes of correlation, told apart day by day by a hidden Markov model."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, gammaln, logit

from risk.correlation.devolatilise import N_BEGIN, Devolatiliser
from risk.correlation.kernels import filter_regimes
from trader.core.errors import DataError
from trader.core.snapshot import pack, restore_into, unpack

__all__ = ["RegimeModel", "RegimeMonitor", "RegimeReading", "equicorrelation", "log_density"]

FloatArray = NDArray[np.float64]

_SHORTEST_STAY = 0.9
_LONGEST_STAY = 0.9999
_MIN_FIT = 100


@dataclasses.dataclass(frozen=True, slots=True)
class RegimeModel:
    """A market whose assets are equally correlated, at one of two levels.

    Rows of returns over their volatility are multivariate Student-t with one correlation between all pairs; which of
    the two levels it is follows a Markov chain. The density needs only the sum of a row and its sum of squares, so a
    day costs the same for 5 assets and for 500.

    Parameters
    ----------
    n_assets : int
    low, high : float
        Correlations.
    degrees, scale : float
        Of the Student-t: degrees of freedom, and what squares its scale.
    stay_low, stay_high : float
        Chance of the same regime on the next day.
    gain : float
        By how much two regimes raise the log-likelihood above that of one. Below `needed` they are not believed.
    needed : float
        Half the Bayesian information criterion's price of three parameters.

    References
    ----------
    Hamilton (1989), *Econometrica* 57; Pelletier (2006), *Journal of Econometrics* 131; Engle and Kelly (2012),
    *Journal of Business & Economic Statistics* 30.
    """

    n_assets: int
    low: float
    high: float
    degrees: float
    scale: float
    stay_low: float
    stay_high: float
    gain: float
    needed: float

    @property
    def believed(self) -> bool:
        """Whether there are two regimes at all."""
        return self.gain > self.needed

    @property
    def start(self) -> float:
        """Long-run share of days with high correlation."""
        return (1.0 - self.stay_low) / (2.0 - self.stay_low - self.stay_high)

    @classmethod
    def fit(cls, standard: FloatArray) -> Self:
        """Fit to returns over their volatility (n_periods, n_assets) by maximum likelihood.

        Raises
        ------
        DataError
            If there are fewer than 100 periods or two assets, or values are not finite.
        """
        values = np.asarray(standard, np.float64)
        if values.ndim != 2 or len(values) < _MIN_FIT or values.shape[1] < 2 or not np.isfinite(values).all():
            raise DataError(f"standard has shape {values.shape}; {_MIN_FIT} or more finite rows of 2 assets are needed")
        return cls.fit_sums(values.sum(axis=1), np.square(values).sum(axis=1), values.shape[1])

    @classmethod
    def fit_sums(cls, sums: FloatArray, squares: FloatArray, n_assets: int) -> Self:
        """Fit to the sums and the sums of squares of rows, each of shape (n_periods,)."""

        def cost_of_one(u: FloatArray) -> float:
            if np.abs(u).max() > 12.0:
                return math.inf
            return -float(log_density(sums, squares, n_assets, expit(u[0]), 2.0 + math.exp(u[1]), math.exp(u[2])).sum())

        def cost_of_two(u: FloatArray) -> float:
            if np.abs(u).max() > 12.0:
                return math.inf
            low, high, stay_low, stay_high = unpacked(u)
            density = np.stack(
                [log_density(sums, squares, n_assets, level, degrees, scale) for level in (low, high)], axis=1
            )
            start = (1.0 - stay_low) / (2.0 - stay_low - stay_high)
            return -float(filter_regimes(density, stay_low, stay_high, path, start))

        def unpacked(u: FloatArray) -> tuple[float, float, float, float]:
            low, width = float(expit(u[0])), _LONGEST_STAY - _SHORTEST_STAY
            stays = _SHORTEST_STAY + width * expit(u[2:])
            return low, low + (1.0 - low) * float(expit(u[1])), float(stays[0]), float(stays[1])

        path = np.empty(len(sums))
        mean = np.clip(equicorrelation(sums, squares, n_assets), 0.02, 0.95)
        tolerance = {"xatol": 1e-3, "fatol": 1e-2, "maxiter": 1500}
        one = minimize(cost_of_one, [logit(mean), 1.0, 0.0], method="Nelder-Mead", options=tolerance)
        degrees, scale = 2.0 + math.exp(one.x[1]), math.exp(one.x[2])
        begin = [one.x[0] - 0.5, -1.0, 2.0, 2.0]
        two = minimize(cost_of_two, begin, method="Nelder-Mead", options=tolerance)
        gain, needed = float(one.fun - two.fun), 1.5 * math.log(len(sums))
        low, high, stay_low, stay_high = unpacked(two.x)
        return cls(n_assets, low, high, degrees, scale, stay_low, stay_high, gain, needed)

    def filter(self, sums: FloatArray, squares: FloatArray, start: float | None = None) -> FloatArray:
        """Return the chance of high correlation on each day, given it and the days before, shape (n_periods,)."""
        density = np.stack(
            [
                log_density(sums, squares, self.n_assets, level, self.degrees, self.scale)
                for level in (self.low, self.high)
            ],
            axis=1,
        )
        path = np.empty(len(density))
        filter_regimes(density, self.stay_low, self.stay_high, path, self.start if start is None else start)
        return path


@dataclasses.dataclass(frozen=True, slots=True)
class RegimeReading:
    """Where the correlation stands.

    Parameters
    ----------
    high_probability : float
        That today is of the regime of high correlation; 0 where two regimes are not believed, NaN before the first fit.
    high : bool
        Whether the alarm is on: it goes on above .99 and off below .05.
    since : int
        Periods that it has been so.
    low_level, high_level : float
        Correlation in each regime; NaN before the first fit.
    believed : bool
        Whether the past tells two regimes apart.
    """

    high_probability: float
    high: bool
    since: int
    low_level: float
    high_level: float
    believed: bool

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return dataclasses.asdict(self)


class RegimeMonitor:
    """Follows the regime online: fits on the past alone, and again every so often.

    Parameters
    ----------
    begin : ndarray of shape (n_periods, n_assets)
        Returns before the first row to judge, 120 or more; the newest `n_fit` are fitted.
    n_fit : int, default=1000
        Periods of a fit.
    refit_every : int, default=250
    halflife : float, default=20
        Of the volatilities that returns are divided by.
    on, off : float, default=.99, .05
        The alarm goes on above and off below.
    """

    def __init__(
        self,
        begin: FloatArray,
        *,
        n_fit: int = 1000,
        refit_every: int = 250,
        halflife: float = 20.0,
        on: float = 0.99,
        off: float = 0.05,
    ) -> None:
        values = np.asarray(begin, np.float64)
        if values.ndim != 2 or len(values) < _MIN_FIT + N_BEGIN or values.shape[1] < 2:
            raise DataError(
                f"begin has shape {values.shape}; {_MIN_FIT + N_BEGIN} or more periods of 2 assets are needed"
            )
        if not 0.0 < off < on < 1.0:
            raise DataError(f"on={on} and off={off} are not allowed; 0 < off < on < 1 is")
        if n_fit < _MIN_FIT or refit_every < 1:
            raise DataError(f"n_fit={n_fit}, refit_every={refit_every} are not allowed; {_MIN_FIT} and 1 or more are")
        self._n_assets, self._n_fit, self._refit_every = values.shape[1], n_fit, refit_every
        self._on, self._off = on, off
        self._devolatiliser = Devolatiliser(values[:N_BEGIN], halflife)
        standard = self._devolatiliser(values)[N_BEGIN:]
        self._sums, self._squares = standard.sum(axis=1)[-n_fit:], np.square(standard).sum(axis=1)[-n_fit:]
        self._alarm, self._since, self._after_fit = False, 0, 0
        self._refit()

    def _refit(self) -> None:
        self.model = RegimeModel.fit_sums(self._sums, self._squares, self._n_assets)
        """The latest fit."""
        self._probability = float(self.model.filter(self._sums, self._squares)[-1])
        self._after_fit = 0

    def update(self, returns: FloatArray) -> RegimeReading:
        """Take the returns of one period, shape (n_assets,).

        Raises
        ------
        DataError
            If a return is missing or the shape is another.
        """
        row = np.asarray(returns, np.float64)
        if row.shape != (self._n_assets,) or not np.isfinite(row).all():
            raise DataError(f"returns {row} are not allowed; {self._n_assets} finite numbers are needed")
        if self._after_fit >= self._refit_every:
            self._refit()
        self._after_fit += 1
        standard = self._devolatiliser(row[None])
        total, square = standard.sum(axis=1), np.square(standard).sum(axis=1)
        self._probability = float(self.model.filter(total, square, self._probability)[0])
        self._sums = np.append(self._sums, total)[-self._n_fit :]
        self._squares = np.append(self._squares, square)[-self._n_fit :]
        probability = self._probability if self.model.believed else 0.0
        alarm = probability > (self._off if self._alarm else self._on)
        self._since = self._since + 1 if alarm == self._alarm else 0
        self._alarm = alarm
        return RegimeReading(probability, alarm, self._since, self.model.low, self.model.high, self.model.believed)

    def state(self) -> dict[str, Any]:
        """Return everything needed to go on, ready for JSON."""
        return {
            "variance": pack(self._devolatiliser.variance),
            "sums": pack(self._sums),
            "squares": pack(self._squares),
            "alarm": [self._alarm, self._since, self._after_fit, self._probability],
            "model": dataclasses.asdict(self.model),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned, of a monitor with the same parameters.

        Raises
        ------
        DataError
            If it is of another number of assets.
        """
        restore_into(self._devolatiliser.variance, state["variance"], "variance")
        self._sums, self._squares = unpack(state["sums"], np.float64), unpack(state["squares"], np.float64)
        self._alarm, self._since, self._after_fit, self._probability = state["alarm"]
        self.model = RegimeModel(**state["model"])


def equicorrelation(sums: FloatArray, squares: FloatArray, n_assets: int) -> float:
    """Return the one correlation that the sums and the sums of squares of standardised rows imply.

    >>> equicorrelation(np.array([3.0, -3.0]), np.array([3.0, 3.0]), 3)
    1.0
    """
    total = float(np.sum(squares))
    return float((np.sum(np.square(sums)) - total) / ((n_assets - 1) * total)) if total > 0.0 else float("nan")


def log_density(
    sums: FloatArray, squares: FloatArray, n_assets: int, level: float, degrees: float, scale: float
) -> FloatArray:
    """Return log densities of equicorrelated Student-t rows, shape (n_periods,)."""
    n, first = n_assets, 1.0 + (n_assets - 1) * level
    distance = (squares - level / first * np.square(sums)) / ((1.0 - level) * scale)
    log_determinant = (n - 1) * math.log(1.0 - level) + math.log(first) + n * math.log(scale)
    constant = gammaln((degrees + n) / 2.0) - gammaln(degrees / 2.0) - n / 2.0 * math.log(degrees * math.pi)
    return np.asarray(constant - log_determinant / 2.0 - (degrees + n) / 2.0 * np.log1p(distance / degrees), np.float64)
