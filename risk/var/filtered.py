"""Volatility that clusters: a GJR-GARCH filter, and the distribution of what it leaves."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from risk.results import check_sample
from risk.tail.spliced import fit_spliced
from risk.threads import one_thread
from risk.var.distribution import Distribution
from risk.var.historical import Empirical
from risk.var.parametric import StudentT
from trader.core.errors import DataError

__all__ = ["Filtered", "GarchFilter", "Innovations", "filtered", "fit_filter"]

FloatArray = NDArray[np.float64]

Innovations = Literal["t", "historical", "evt"]

_LEAST = 250


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class GarchFilter:
    """A GJR-GARCH(1, 1) with t innovations: ``σ²' = ω + (α + γ [ε < 0]) ε² + β σ²``.

    Parameters
    ----------
    mean, omega, alpha, gamma, beta, df : float
        For returns as they are, not percent.
    residuals : ndarray of shape (n_periods,)
        Returns less the mean, over the volatility that was known the day before.
    next_variance : float
        Of the period after the last.
    notes : tuple of str
        Why the fit may not be believed.
    """

    mean: float
    omega: float
    alpha: float
    gamma: float
    beta: float
    df: float
    residuals: FloatArray
    next_variance: float
    notes: tuple[str, ...] = ()

    @property
    def persistence(self) -> float:
        """Share of a shock to the variance that is left a period later, for symmetric innovations."""
        return self.alpha + self.gamma / 2.0 + self.beta

    def variances_after(self, returns: FloatArray) -> FloatArray:
        """Return the variance of the period after each of the returns that follow the sample, shape (n,)."""
        if not returns.size:
            return np.empty(0)
        shocks = self._shock(returns - self.mean)
        found, _ = lfilter([1.0], [1.0, -self.beta], shocks, zi=np.array([self.beta * self.next_variance]))
        return np.asarray(found, np.float64)

    def _shock(self, surprise: FloatArray) -> FloatArray:
        pull = np.where(surprise < 0.0, self.alpha + self.gamma, self.alpha)
        return np.asarray(self.omega + pull * surprise * surprise, np.float64)

    def paths(self, innovations: FloatArray) -> FloatArray:
        """Return the returns that successive innovations make, shape (n_paths, horizon)."""
        result = np.empty(innovations.shape)
        variance = np.full(len(innovations), self.next_variance)
        for step in range(innovations.shape[1]):
            surprise = np.sqrt(variance) * innovations[:, step]
            result[:, step] = self.mean + surprise
            variance = self._shock(surprise) + self.beta * variance
        return result


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Filtered:
    """Tomorrow's volatility by a filter, tomorrow's surprise by a distribution of its residuals."""

    garch: GarchFilter
    innovations: Distribution

    @property
    def warnings(self) -> tuple[str, ...]:
        """See `Distribution`."""
        return (*self.garch.notes, *self.innovations.warnings)

    def var_es(self, level: float) -> tuple[float, float]:
        """See `Distribution`."""
        var, es = self.innovations.var_es(level)
        deviation = math.sqrt(self.garch.next_variance)
        return deviation * var - self.garch.mean, deviation * es - self.garch.mean

    def draw(self, generator: np.random.Generator, size: tuple[int, int]) -> FloatArray:
        """See `Distribution`: returns of the next period only, each independent of the others."""
        return self.garch.mean + math.sqrt(self.garch.next_variance) * self.innovations.draw(generator, size)

    def paths(self, generator: np.random.Generator, size: tuple[int, int]) -> FloatArray:
        """Return successive returns, each making the volatility of the next; shape (n_paths, horizon)."""
        return self.garch.paths(self.innovations.draw(generator, size))


def fit_filter(returns: FloatArray, *, start: GarchFilter | None = None) -> GarchFilter:
    """Fit a GJR-GARCH(1, 1) with t innovations by maximum likelihood (arch).

    Parameters
    ----------
    returns : ndarray of shape (n_periods,)
        Finite, oldest first; at least 250.
    start : GarchFilter, optional
        A fit of nearly the same returns, to begin the search from.

    Raises
    ------
    DataError
        If there are too few periods, a number is not finite or the returns do not vary.
    """
    from arch import arch_model

    values = check_sample(returns, _LEAST)
    unit = float(values.std())
    if not unit > 1e-14 * abs(float(values.mean())):
        raise DataError("returns do not vary; a volatility cannot be filtered")
    model = arch_model(values / unit, mean="Constant", vol="GARCH", p=1, o=1, q=1, dist="t", rescale=False)
    with one_thread():
        found = model.fit(
            disp="off", show_warning=False, starting_values=None if start is None else _search_from(start, unit)
        )
    mean, omega, alpha, gamma, beta, df = (float(value) for value in found.params)
    volatility = np.asarray(found.conditional_volatility, np.float64)
    surprise = values / unit - mean
    last = float(surprise[-1])
    following = omega + (alpha + gamma * (last < 0.0)) * last**2 + beta * float(volatility[-1]) ** 2
    notes = []
    if found.convergence_flag:
        notes.append(f"the volatility filter did not converge (flag {found.convergence_flag})")
    if alpha + gamma / 2.0 + beta >= 0.9999:
        notes.append("the filtered volatility has no mean to return to: long horizons run away")
    residuals = surprise / volatility
    return GarchFilter(
        mean * unit, omega * unit**2, alpha, gamma, beta, df, residuals, following * unit**2, tuple(notes)
    )


def _search_from(start: GarchFilter, unit: float) -> FloatArray:
    """Return a point just inside what the optimiser allows: estimates often lie on its edge."""
    alpha, gamma = max(start.alpha, 1e-4), max(start.gamma, 1e-4 - max(start.alpha, 1e-4))
    shrink = min(1.0, 0.995 / (alpha + gamma / 2.0 + max(start.beta, 1e-4)))
    df = min(max(start.df, 2.2), 100.0)
    scaled = [shrink * alpha, shrink * gamma, shrink * max(start.beta, 1e-4)]
    return np.array([start.mean / unit, max(start.omega / unit**2, 1e-6), *scaled, df])


def filtered(garch: GarchFilter, innovations: Innovations, fraction: float = 0.1) -> Filtered:
    """Return the filter with a distribution of its residuals.

    They are a t (``t``), equally likely (``historical``) or that with a fitted tail of the worst `fraction` (``evt``).
    """
    if innovations == "t":
        # arch's t has variance 1; a t of scale 1 has df / (df − 2).
        return Filtered(garch, StudentT(0.0, math.sqrt((garch.df - 2.0) / garch.df), garch.df))
    if innovations == "historical":
        return Filtered(garch, Empirical(garch.residuals))
    return Filtered(garch, fit_spliced(garch.residuals, fraction))
