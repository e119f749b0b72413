"""Normal and Student-t returns: closed forms, and a t fitted by maximum likelihood."""

from __future__ import annotations

import dataclasses
import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy import special

from risk.results import check_level, check_sample
from trader.core.errors import DataError

__all__ = ["Normal", "StudentT", "fit_student_t", "normal_tail", "student_tail"]

FloatArray = NDArray[np.float64]

_NORMAL = NormalDist()
_LEAST_DF, _MOST_DF = 1.05, 500.0
_MOST_STEPS = 200
_CLOSE, _SHORTEST = 1e-10, 1e-6


def normal_tail(level: float) -> tuple[float, float]:
    """Return value at risk and expected shortfall of a standard normal: the quantile z and ``φ(z) / (1 − level)``."""
    z = _NORMAL.inv_cdf(check_level(level))
    return z, _NORMAL.pdf(z) / (1.0 - level)


def student_tail(level: float, df: float) -> tuple[float, float]:
    """Return value at risk and expected shortfall of a Student-t of location 0 and scale 1; `df` is above 1.

    ES is ``f(q) / (1 − level) · (df + q²) / (df − 1)`` [1]_.

    References
    ----------
    .. [1] McNeil, Frey and Embrechts (2015), "Quantitative risk management", example 2.15.
    """
    if not df > 1.0:
        raise DataError(f"df={df} is not allowed; the shortfall of a t needs more than 1")
    q = float(special.stdtrit(df, check_level(level)))
    log_density = (
        math.lgamma((df + 1) / 2)
        - math.lgamma(df / 2)
        - 0.5 * math.log(df * math.pi)
        - (df + 1) / 2 * math.log1p(q * q / df)
    )
    return q, math.exp(log_density) / (1.0 - level) * (df + q * q) / (df - 1.0)


@dataclasses.dataclass(frozen=True, slots=True)
class Normal:
    """Returns that are normal with a mean and a standard deviation."""

    mean: float
    deviation: float
    notes: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """See `Distribution`."""
        return self.notes

    def var_es(self, level: float) -> tuple[float, float]:
        """See `Distribution`."""
        var, es = normal_tail(level)
        return self.deviation * var - self.mean, self.deviation * es - self.mean

    def draw(self, generator: np.random.Generator, size: tuple[int, int]) -> FloatArray:
        """See `Distribution`."""
        return np.asarray(self.mean + self.deviation * generator.standard_normal(size), np.float64)


@dataclasses.dataclass(frozen=True, slots=True)
class StudentT:
    """Returns that are ``location + scale · t`` with `df` degrees of freedom; the scale is no standard deviation."""

    location: float
    scale: float
    df: float
    notes: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """See `Distribution`; variances that do not exist are told of."""
        if self.df <= 2.0:
            return (*self.notes, f"the fitted t has {self.df:.2f} degrees of freedom: its variance is infinite")
        return self.notes

    def var_es(self, level: float) -> tuple[float, float]:
        """See `Distribution`."""
        var, es = student_tail(level, self.df)
        return self.scale * var - self.location, self.scale * es - self.location

    def draw(self, generator: np.random.Generator, size: tuple[int, int]) -> FloatArray:
        """See `Distribution`."""
        return np.asarray(self.location + self.scale * generator.standard_t(self.df, size), np.float64)


def fit_student_t(returns: FloatArray) -> StudentT:
    """Fit location, scale and degrees of freedom by maximum likelihood.

    Degrees of freedom are kept between 1.05 and 500, where a t is normal for every purpose.

    Raises
    ------
    DataError
        If there are fewer than 10 periods, a number is not finite or the returns do not vary.
    """
    values = check_sample(returns, 10)
    centre, spread = float(values.mean()), float(values.std())
    if not spread > 1e-14 * abs(centre):
        raise DataError("returns do not vary; a Student-t cannot be fitted")
    z = (values - centre) / spread
    kurtosis = float(np.mean(z**4)) - 3.0
    df = min(max(4.0 + 6.0 / kurtosis, 2.5), 100.0) if kurtosis > 0.0 else 100.0
    place, converged = _score(z, np.array([0.0, 0.5 * math.log(max(1.0 - 2.0 / df, 0.1)), math.log(df)]))
    location, log_scale, log_df = place.tolist()
    notes = () if converged else (f"the t did not converge in {_MOST_STEPS} steps",)
    return StudentT(centre + spread * location, spread * math.exp(log_scale), math.exp(log_df), notes)


def _score(z: FloatArray, place: FloatArray) -> tuple[FloatArray, bool]:
    """Return location, log scale and log df of the highest likelihood by Fisher scoring, and whether it converged.

    A tenth of the time of a general optimiser: the expected information is known, so a dozen steps are enough.
    """
    lowest, highest = math.log(_LEAST_DF), math.log(_MOST_DF)
    value, gradient = _likelihood(place, z)
    for _ in range(_MOST_STEPS):
        log_df = float(place[2])
        step = -_solve(_information(place), gradient)
        if (log_df >= highest and step[2] > 0.0) or (log_df <= lowest and step[2] < 0.0):
            step[1], step[2] = -gradient[1] * (math.exp(log_df) + 3.0) / (2.0 * math.exp(log_df)), 0.0
        if -float(gradient @ step) < _CLOSE:
            return place, True
        share = 1.0 / max(1.0, float(np.abs(step[1:]).max()))
        while True:
            tried = place + share * step
            tried[2] = min(max(float(tried[2]), lowest), highest)
            found, slope = _likelihood(tried, z)
            if found <= value:
                break
            share /= 2.0
            if share < _SHORTEST:  # nothing but rounding is left to gain
                return place, True
        place, value, gradient = tried, found, slope
    return place, False


def _information(place: FloatArray) -> tuple[float, float, float, float]:
    """Return the expected information of one return: location; log scale, both, log df (Lange and others 1989)."""
    scale, df = math.exp(float(place[1])), math.exp(float(place[2]))
    curve = 0.25 * float(special.polygamma(1, df / 2) - special.polygamma(1, (df + 1) / 2))
    by_df = df * df * (curve - (df + 5.0) / (2.0 * df * (df + 1.0) * (df + 3.0)))
    return (
        (df + 1.0) / (df + 3.0) / scale**2,
        2.0 * df / (df + 3.0),
        -2.0 * df / ((df + 1.0) * (df + 3.0)),
        max(by_df, 1e-9),  # for many degrees of freedom it vanishes, and rounding may leave less than nothing
    )


def _solve(information: tuple[float, float, float, float], gradient: FloatArray) -> FloatArray:
    location, scale, both, df = information
    by_location, by_scale, by_df = gradient.tolist()
    determinant = scale * df - both * both
    if determinant <= 1e-14:
        return np.array([by_location / location, by_scale / scale, by_df / df])
    return np.array(
        [
            by_location / location,
            (df * by_scale - both * by_df) / determinant,
            (scale * by_df - both * by_scale) / determinant,
        ]
    )


def _likelihood(parameters: FloatArray, z: FloatArray) -> tuple[float, FloatArray]:
    """Return the mean negative log likelihood of location, log scale and log df, and its gradient."""
    location, log_scale, log_df = parameters.tolist()
    scale, df = math.exp(log_scale), math.exp(log_df)
    u = (z - location) / scale
    stretched = 1.0 + u * u / df
    log = float(np.add.reduce(np.log(stretched))) / z.size
    pull = u / stretched
    drawn = (df + 1.0) / df * float(pull @ u) / z.size
    value = log_scale - _log_height(df) + (df + 1) / 2 * log
    by_df = 0.5 * (special.psi(df / 2) - special.psi((df + 1) / 2) + 1.0 / df + log - drawn / df)
    gradient = np.array([-(df + 1.0) / df * float(np.add.reduce(pull)) / z.size / scale, 1.0 - drawn, df * by_df])
    return value, gradient


def _log_height(df: float) -> float:
    """Return the logarithm of the density of a t at 0."""
    return math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - 0.5 * math.log(df * math.pi)
