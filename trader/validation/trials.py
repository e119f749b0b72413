"""The deflated Sharpe ratio of a search: how many strategies were really tried, and how much they differ."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.validation.sharpe import expected_maximum_sharpe, probabilistic_sharpe, sharpe_ratio

__all__ = ["DeflatedSharpe", "average_correlation_trials", "cluster_trials", "deflate_search", "deflate_sharpe"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True)
class DeflatedSharpe:
    """A chosen strategy's Sharpe ratio, against the best that luck would show among so many trials.

    Parameters
    ----------
    probability : float
        That the true Sharpe ratio is above `benchmark`.
    sharpe, benchmark : float
        Per period: of the chosen strategy, and expected of the best of worthless trials.
    n_trials : int
        Strategies that were tried.
    n_effective : float
        Independent trials that they amount to; what the benchmark counts.
    variance : float
        Of the trials' Sharpe ratios per period; what the benchmark assumes.
    """

    probability: float
    sharpe: float
    benchmark: float
    n_trials: int
    n_effective: float
    variance: float

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, ready for JSON; an undefined number is None."""
        fields = dataclasses.asdict(self)
        return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in fields.items()}


def deflate_sharpe(
    returns: FloatArray, trial_sharpes: FloatArray, *, n_effective: float | None = None
) -> DeflatedSharpe:
    """Deflate the Sharpe ratio of a chosen strategy by the ratios of all strategies that were tried [1]_.

    Parameters
    ----------
    returns : ndarray of shape (n_periods,)
        Of the chosen strategy; NaN periods are left out.
    trial_sharpes : ndarray of shape (n_trials,)
        Per period, of every trial that was looked at, the chosen one included; NaN (a trial that failed or never
        traded) counts as a trial and not in the variance.
    n_effective : float, optional
        Independent trials that they amount to, from 1 to `n_trials`; None takes all of them, which deflates most.

    Returns
    -------
    DeflatedSharpe
        The variance is that of the trials (n - 1), or ``1 / (n_periods - 1)`` where fewer than two are known: what
        worthless trials differ by at least.

    References
    ----------
    .. [1] Bailey and López de Prado (2014), "The deflated Sharpe ratio", Journal of Portfolio Management 40(5).
    """
    trials = np.asarray(trial_sharpes, dtype=np.float64)
    if trials.ndim != 1 or trials.size < 1:
        raise DataError(f"trial_sharpes have shape {trials.shape}; (n_trials,) with at least one is needed")
    effective = float(trials.size) if n_effective is None else n_effective
    if not 1 <= effective <= trials.size:
        raise DataError(f"n_effective={n_effective} is not allowed; with {trials.size} trials it lies from 1 to that")
    known = trials[np.isfinite(trials)]
    n_periods = int(np.isfinite(returns).sum())
    variance = float(known.var(ddof=1)) if known.size > 1 else 1.0 / max(n_periods - 1, 1)
    benchmark = expected_maximum_sharpe(effective, variance)
    return DeflatedSharpe(
        probability=probabilistic_sharpe(returns, benchmark),
        sharpe=sharpe_ratio(returns),
        benchmark=benchmark,
        n_trials=int(trials.size),
        n_effective=effective,
        variance=variance,
    )


def deflate_search(returns: FloatArray, *, chosen: int | None = None) -> DeflatedSharpe:
    """Deflate the best of trials whose returns are known, which shows how alike they are.

    Trials that are variants of one idea are few independent trials. They are clustered by the correlation of
    their returns [1]_; the number of clusters is the effective number of trials, and the variance is that of the
    Sharpe ratios of the clusters' mean returns.

    Parameters
    ----------
    returns : ndarray of shape (n_periods, n_trials)
        On the same periods, finite.
    chosen : int, optional
        The trial that was kept; None takes that of the highest Sharpe ratio.

    References
    ----------
    .. [1] López de Prado and Lewis (2019), "Detection of false investment strategies using unsupervised learning
       methods", Quantitative Finance 19(9).
    """
    labels = cluster_trials(returns)
    sharpes = np.array([sharpe_ratio(trial) for trial in returns.T])
    if chosen is None and not np.isfinite(sharpes).any():
        raise DataError("no trial has a Sharpe ratio; name the one that was chosen")
    kept = int(np.nanargmax(sharpes)) if chosen is None else chosen
    # A cluster's members are scaled to equal volatility, so that none of them dominates its mean.
    deviation = returns.std(axis=0)
    scaled = np.divide(returns, deviation, out=np.zeros_like(returns), where=deviation > 0.0)
    means = [scaled[:, labels == label].mean(axis=1) for label in np.unique(labels)]
    found = deflate_sharpe(returns[:, kept], np.array([sharpe_ratio(mean) for mean in means]))
    return dataclasses.replace(found, n_trials=returns.shape[1])


def cluster_trials(returns: FloatArray, alike: float = 0.5) -> IntArray:
    """Return the cluster of each trial, by hierarchical clustering of the correlations of their returns.

    The distance of two trials is ``sqrt((1 - correlation) / 2)``, that of two clusters the mean over their trials.
    Clusters are joined as long as it is below that of the correlation `alike`. (A fixed bound rather than the best
    silhouette: it never joins what is unrelated, and more data do not change what counts as a variant.)

    Parameters
    ----------
    returns : ndarray of shape (n_periods, n_trials)
        Finite. Trials that do not vary are alike.
    alike : float, default=0.5
        From -1 to 1; a higher one gives more clusters, and deflates more.

    Returns
    -------
    ndarray of shape (n_trials,)
        Numbers from 0.
    """
    _check(returns)
    if not -1 <= alike <= 1:
        raise DataError(f"alike={alike} is not allowed; it must lie from -1 to 1")
    n_trials = returns.shape[1]
    if n_trials == 1:
        return np.zeros(1, np.int64)
    from scipy.cluster.hierarchy import fcluster, linkage

    distance = np.sqrt(np.clip((1.0 - _correlations(returns)) / 2.0, 0.0, 1.0))
    tree = linkage(distance[np.triu_indices(n_trials, 1)], "average")
    return np.asarray(fcluster(tree, math.sqrt((1.0 - alike) / 2.0), "distance") - 1, np.int64)


def average_correlation_trials(returns: FloatArray) -> float:
    """Return the number of independent trials by the rule ``c + (1 - c) n`` [1]_, c the mean correlation.

    Parameters
    ----------
    returns : ndarray of shape (n_periods, n_trials)
        Finite.

    Returns
    -------
    float
        From 1, all trials alike, to `n_trials`; a negative mean correlation counts as none.

    References
    ----------
    .. [1] Bailey and López de Prado (2014), "The deflated Sharpe ratio", appendix 3.
    """
    _check(returns)
    n = returns.shape[1]
    if n == 1:
        return 1.0
    correlations = _correlations(returns)
    mean = float((correlations.sum() - np.trace(correlations)) / (n * (n - 1)))
    shared = min(max(mean, 0.0), 1.0)
    return shared + (1.0 - shared) * float(n)


def _correlations(returns: FloatArray) -> FloatArray:
    """Return correlations; those of a trial that does not vary are 0, and 1 with itself and its kind."""
    deviations = returns - returns.mean(axis=0)
    norm = np.sqrt((deviations**2).sum(axis=0))
    still = norm <= 1e-12 * np.abs(returns).max(axis=0)
    unit = np.divide(deviations, norm, out=np.zeros_like(deviations), where=~still)
    correlations: FloatArray = np.where(np.outer(still, still), 1.0, unit.T @ unit)
    return correlations


def _check(returns: FloatArray) -> None:
    if returns.ndim != 2 or returns.shape[0] < 2 or returns.shape[1] < 1:
        raise DataError(f"returns have shape {returns.shape}; (n_periods, n_trials) from (2, 1) on is needed")
    if not np.isfinite(returns).all():
        raise DataError("returns hold values that are not finite; give every trial a return in every period")
