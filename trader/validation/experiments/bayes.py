"""Bayesian comparison: how probable it is that the challenger is better, and what a wrong choice would cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from trader.core.errors import DataError
from trader.validation.experiments.quadrature import legendre_rule
from trader.validation.experiments.results import FloatArray, check_positive, finite_series

__all__ = ["BayesianComparison", "NormalPrior", "StudentPosterior", "compare_posteriors", "posterior_of_mean"]

_NODES = 400


@dataclass(frozen=True, slots=True)
class NormalPrior:
    """Normal-inverse-gamma prior of a mean and a variance; the default says next to nothing.

    Attributes
    ----------
    mean : float, default=0.0
    strength : float, default=1e-6
        Observations that the prior mean is worth, positive.
    shape : float, default=1e-6
        Half the observations that the prior variance is worth, positive.
    scale : float, default=1e-12
        Prior sum of squares halved, positive, in squared units of the data.
    """

    mean: float = 0.0
    strength: float = 1e-6
    shape: float = 1e-6
    scale: float = 1e-12


@dataclass(frozen=True, slots=True)
class StudentPosterior:
    """Posterior of a mean: a Student t distribution.

    Attributes
    ----------
    location, scale : float
        In the unit of the data.
    degrees : float
    """

    location: float
    scale: float
    degrees: float

    def probability_above(self, value: float = 0.0) -> float:
        """Return the probability that the mean is above `value`."""
        return float(scipy.special.stdtr(self.degrees, (self.location - value) / self.scale))

    def expected_shortfall_below(self, value: float = 0.0) -> float:
        """Return the mean of ``max(value - mean, 0)``; infinity for one degree of freedom or less."""
        return float(self._shortfall(np.array([value]))[0])

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the central credible interval."""
        radius = -self.scale * float(scipy.special.stdtrit(self.degrees, (1.0 - level) / 2.0))
        return self.location - radius, self.location + radius

    def _shortfall(self, values: FloatArray) -> FloatArray:
        if self.degrees <= 1.0:
            return np.full(values.shape, math.inf)
        z = (values - self.location) / self.scale
        tail = (self.degrees + z**2) / (self.degrees - 1.0) * scipy.stats.t.pdf(z, self.degrees)
        expected: FloatArray = self.scale * (z * scipy.special.stdtr(self.degrees, z) + tail)
        return expected


@dataclass(frozen=True, slots=True)
class BayesianComparison:
    """The posterior answer to which arm has the greater mean.

    Attributes
    ----------
    probability : float
        That the challenger's mean is greater.
    expected_loss : float
        Mean of what is lost by choosing the challenger, ``max(champion - challenger, 0)``, in the unit of the data.
    expected_gain : float
        Mean of ``max(challenger - champion, 0)``, which is lost by keeping the champion.
    """

    probability: float
    expected_loss: float
    expected_gain: float


def posterior_of_mean(
    values: ArrayLike, prior: NormalPrior | None = None, *, inflation: float = 1.0
) -> StudentPosterior:
    """Return the posterior of a mean under the conjugate normal-inverse-gamma model [1]_.

    Parameters
    ----------
    values : array_like of shape (n,)
        An arm, or paired differences, whose posterior then answers the comparison by itself; no NaN.
    prior : NormalPrior, optional
    inflation : float, default=1.0
        As from `variance_inflation`; the data count as ``n / inflation`` observations.

    Returns
    -------
    StudentPosterior

    Raises
    ------
    DataError
        For fewer than two values: a nearly flat prior alone answers nothing.

    Notes
    -----
    Assumptions: normal observations. Under autocorrelation: without `inflation` the posterior is far too narrow; 95 %
    intervals on AR(0), AR(.6) and AR(.9) leave out a true 0 in .039, .327 and .664 of runs, with the estimated
    inflation in .038, .073 and .113 (2,000 runs of n = 500, t3 innovations, seed 11). Watching a posterior does not
    bound the rate of false winners.

    References
    ----------
    .. [1] Gelman et al. (2013), "Bayesian data analysis", 3rd edition, section 3.3.
    """
    prior = prior or NormalPrior()
    for name in ("strength", "shape", "scale"):
        check_positive(getattr(prior, name), name)
    check_positive(inflation, "inflation")
    series = finite_series("values", values)
    if series.size < 2:
        raise DataError(f"values has {series.size} observations; it must have at least 2")
    count, mean = series.size / inflation, float(series.mean())
    strength, shape = prior.strength + count, prior.shape + count / 2.0
    location = (prior.strength * prior.mean + count * mean) / strength
    between = prior.strength * count / strength * (mean - prior.mean) ** 2
    scale = prior.scale + 0.5 * (count * float(series.var()) + between)
    return StudentPosterior(location, math.sqrt(scale / (shape * strength)), 2.0 * shape)


def compare_posteriors(challenger: StudentPosterior, champion: StudentPosterior) -> BayesianComparison:
    """Return which of two independent arms has the greater mean [1]_.

    Parameters
    ----------
    challenger, champion : StudentPosterior
        Of more than one degree of freedom for finite losses.

    Returns
    -------
    BayesianComparison
        Integrated over the champion's quantiles by 400-point Gauss-Legendre quadrature.

    Notes
    -----
    Assumptions: independent arms. Arms that trade the same market are not: take `posterior_of_mean` of their
    differences.

    References
    ----------
    .. [1] Stucchio (2015), "Bayesian A/B testing at VWO", sections 3 and 4.

    Examples
    --------
    >>> same = StudentPosterior(0.0, 1.0, 10.0)
    >>> round(compare_posteriors(same, same).probability, 6)
    0.5
    """
    nodes, weights = legendre_rule(_NODES)
    rivals = champion.location + champion.scale * scipy.special.stdtrit(champion.degrees, (nodes + 1.0) / 2.0)
    above = scipy.special.stdtr(challenger.degrees, (challenger.location - rivals) / challenger.scale)
    loss = float(weights @ challenger._shortfall(rivals)) / 2.0
    gain = loss + challenger.location - champion.location if math.isfinite(loss) else math.inf
    return BayesianComparison(float(weights @ above) / 2.0, loss, max(gain, 0.0))
