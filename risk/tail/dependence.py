"""Do losses come together? Tail dependence, counted and by a t copula."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from risk.results import check_sample
from risk.threads import one_thread
from trader.core.errors import DataError

__all__ = ["TCopula", "fit_t_copula", "tail_dependence", "t_copula_dependence"]

FloatArray = NDArray[np.float64]

_LEAST = 100


@dataclasses.dataclass(frozen=True, slots=True)
class TCopula:
    """The dependence of two series as that of a bivariate t.

    Parameters
    ----------
    correlation : float
    df : float
        Degrees of freedom; from 100 on the copula is normal for every purpose.
    """

    correlation: float
    df: float

    @property
    def dependence(self) -> float:
        """Chance that one is at its worst when the other is, in the limit; the same for gains."""
        return t_copula_dependence(self.correlation, self.df)


def tail_dependence(returns: FloatArray, fraction: float = 0.05, *, upper: bool = False) -> FloatArray:
    """Return the share of an asset's worst periods that are among another's worst.

    Parameters
    ----------
    returns : ndarray of shape (n_periods, n_assets)
        Finite.
    fraction : float, default=0.05
        Share of periods that count as worst. The coefficient of tail dependence is its limit for fractions towards 0;
        independent assets have `fraction` itself.
    upper : bool, default=False
        Count the best periods instead.

    Returns
    -------
    ndarray of shape (n_assets, n_assets)
        Symmetric, 1 on the diagonal.

    Raises
    ------
    DataError
        If fewer than 10 periods count as worst, a number is not finite or the fraction is not allowed.
    """
    values = np.asarray(returns, np.float64)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise DataError(
            f"returns has shape {values.shape} or numbers that are not finite; (n_periods, n_assets) is needed"
        )
    n_worst = round(fraction * len(values))
    if not 0.0 < fraction < 0.5 or n_worst < 10:
        raise DataError(f"fraction={fraction} of {len(values)} periods is not allowed; 10 periods, less than half, are")
    ordered = np.argsort(-values if upper else values, axis=0, kind="stable")[:n_worst]
    worst = np.zeros(values.shape)
    np.put_along_axis(worst, ordered, 1.0, axis=0)
    return np.asarray(worst.T @ worst / n_worst, np.float64)


def t_copula_dependence(correlation: float, df: float) -> float:
    """Return the coefficient of tail dependence of a t copula, lower and upper alike [1]_.

    ``2 t_{df+1}(−sqrt((df + 1) (1 − ρ) / (1 + ρ)))``

    References
    ----------
    .. [1] Demarta and McNeil (2005), "The t copula and related copulas".

    Examples
    --------
    >>> round(t_copula_dependence(0.5, 4), 2), round(t_copula_dependence(0.0, 4), 2)
    (0.25, 0.08)
    """
    if not -1.0 <= correlation <= 1.0 or not df > 0.0:
        raise DataError(f"correlation={correlation}, df={df} are not allowed; −1 to 1 and above 0 are")
    if correlation == -1.0:
        return 0.0
    reach = math.sqrt((df + 1.0) * (1.0 - correlation) / (1.0 + correlation))
    return 2.0 * float(special.stdtr(df + 1.0, -reach))


def fit_t_copula(first: FloatArray, second: FloatArray) -> TCopula:
    """Fit a t copula: the correlation from Kendall's tau, the degrees of freedom by maximum likelihood on ranks.

    Raises
    ------
    DataError
        If lengths differ, there are fewer than 100 periods or a number is not finite.
    """
    x, y = check_sample(first, _LEAST, "first"), check_sample(second, _LEAST, "second")
    if x.size != y.size:
        raise DataError(f"second has {y.size} periods; {x.size}, as many as first, are needed")
    tau = float(stats.kendalltau(x, y).statistic)
    if math.isnan(tau):
        raise DataError("first or second does not vary; their dependence does not exist")
    correlation = min(max(math.sin(math.pi * tau / 2.0), -0.999), 0.999)
    u, v = (stats.rankdata(values) / (values.size + 1.0) for values in (x, y))

    def lack(log_df: float) -> float:
        return -_copula_log_density(u, v, correlation, math.exp(log_df))

    with one_thread():
        found = optimize.minimize_scalar(lack, bounds=(0.0, math.log(200.0)), method="bounded", options={"xatol": 1e-4})
    return TCopula(correlation, math.exp(float(found.x)))


def _copula_log_density(u: FloatArray, v: FloatArray, correlation: float, df: float) -> float:
    """Return the mean log density of a t copula."""
    s, t = special.stdtrit(df, u), special.stdtrit(df, v)
    rest = 1.0 - correlation**2
    joint = -(df + 2.0) / 2.0 * np.log1p((s * s - 2.0 * correlation * s * t + t * t) / (df * rest))
    single = -(df + 1.0) / 2.0 * (np.log1p(s * s / df) + np.log1p(t * t / df))
    constant = (
        math.lgamma((df + 2.0) / 2.0)
        + math.lgamma(df / 2.0)
        - 2.0 * math.lgamma((df + 1.0) / 2.0)
        - 0.5 * math.log(rest)
    )
    return constant + float((joint - single).mean())
