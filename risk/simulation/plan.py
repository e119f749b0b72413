"""A portfolio and a simulation, made ready: all that a process needs to draw any chunk of the paths."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.optimize import minimize_scalar

from risk.panel import ReturnPanel
from risk.simulation.spec import SimulationSpec
from risk.threads import one_thread
from trader.core.errors import DataError

__all__ = ["SimulationPlan", "fit_degrees", "plan_simulation", "spread_of"]

FloatArray = NDArray[np.float64]

_RANK_TOLERANCE = 1e-10
_DEGREES = (2.1, 200.0)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class SimulationPlan:
    """What the chunks of a simulation share; made by `plan_simulation`.

    Parameters
    ----------
    spec : SimulationSpec
    weights : ndarray of shape (n_series,)
        One series, of weight 1, where the portfolio itself is drawn.
    cash : float
        What the weights lack to 1.
    mean : ndarray of shape (n_series,)
    spread : ndarray of shape (n_series, n_series)
        Times independent standard normals: shocks with the covariance. Empty for the bootstrap.
    history : ndarray of shape (n_series, n_periods)
        What the bootstrap draws from, without its mean; empty otherwise.
    degrees : float
        Of the t; infinite for other models.
    scale : float
        Standard deviation of the portfolio over the horizon, positive.
    n_observations : int
    warnings : tuple of str
    """

    spec: SimulationSpec
    weights: FloatArray
    cash: float
    mean: FloatArray
    spread: FloatArray
    history: FloatArray
    degrees: float
    scale: float
    n_observations: int
    warnings: tuple[str, ...]


def plan_simulation(
    panel: ReturnPanel, weights: FloatArray, spec: SimulationSpec, covariance: FloatArray | None = None
) -> SimulationPlan:
    """Estimate what the model needs.

    Parameters
    ----------
    panel : ReturnPanel
    weights : ndarray of shape (n_assets,)
    spec : SimulationSpec
    covariance : ndarray of shape (n_assets, n_assets), optional
        Per period, in place of the sample's; the bootstrap has none.

    Raises
    ------
    DataError
        If fewer than two periods are there, weights or covariance have another shape, or nothing can be lost: no
        weight, or no variance.
    """
    with one_thread():
        return _plan(panel, np.asarray(weights, np.float64), spec, covariance)


def _plan(
    panel: ReturnPanel, weights: FloatArray, spec: SimulationSpec, covariance: FloatArray | None
) -> SimulationPlan:
    if weights.shape != (panel.n_assets,) or not np.isfinite(weights).all():
        raise DataError(f"weights has shape {weights.shape}; ({panel.n_assets},) finite numbers are needed")
    if panel.n_periods < 2:
        raise DataError(f"returns hold {panel.n_periods} period; at least 2 are needed")
    if covariance is not None and spec.model == "bootstrap":
        raise DataError("covariance is given, but the bootstrap has none; leave it out, or choose normal or t")
    returns = panel.returns
    full = np.atleast_2d(np.cov(returns, rowvar=False)) if covariance is None else np.asarray(covariance, np.float64)
    if full.shape != (panel.n_assets, panel.n_assets) or not np.isfinite(full).all():
        raise DataError(f"covariance has shape {full.shape}; ({panel.n_assets}, {panel.n_assets}) finite is needed")
    active = np.flatnonzero(weights)
    variance = float(weights @ full @ weights)
    if not active.size or not variance > 0.0:
        raise DataError("the portfolio has no variance; at least one weight of an asset that moves is needed")
    held, returns, full = weights[active], returns[:, active], full[np.ix_(active, active)]
    warnings: list[str] = []
    degrees = np.inf
    if spec.model == "t":
        degrees = fit_degrees(returns, full) if spec.degrees is None else spec.degrees
        if degrees < 4.0:
            warnings.append(f"{degrees:.1f} degrees of freedom: the fourth moment is infinite, tails converge slowly")
    if spec.model == "bootstrap" and panel.n_periods < 20 * spec.block:
        warnings.append(f"{panel.n_periods} periods hold few blocks of {spec.block:g}; the tail is that of a few days")
    mean = returns.mean(axis=0)
    series = returns.T
    if spec.holding == "rebalanced":
        # A sum of jointly normal or t returns, or of returns of one day, is drawn as well by itself: exactly, and with
        # a number a period in place of one an asset.
        series, mean, full = (held @ series)[None, :], np.array([held @ mean]), np.array([[variance]])
        held = np.ones(1)
    if spec.model == "bootstrap":
        spread, history = np.empty((0, 0)), series - mean[:, None]
    else:
        spread, found = spread_of(full)
        history = np.empty((0, 0))
        warnings += found
    spec.check_dimensions(len(held))
    tail = spec.n_paths * (1.0 - max(spec.levels))
    if tail < 30:
        warnings.append(f"{tail:.0f} paths lie beyond the level {max(spec.levels):g}; its figures are rough")
    return SimulationPlan(
        spec=spec,
        weights=held,
        cash=1.0 - float(held.sum()),
        mean=mean if spec.drift else np.zeros_like(mean),
        spread=spread,
        history=history,
        degrees=float(degrees),
        scale=float(np.sqrt(variance * spec.horizon)),
        n_observations=panel.n_periods,
        warnings=tuple(warnings),
    )


def spread_of(covariance: FloatArray) -> tuple[FloatArray, list[str]]:
    """Return a matrix whose product with its transpose is the covariance, and a warning if that is singular.

    It is the Cholesky factor, or made of eigenvectors where a covariance is singular.

    Raises
    ------
    DataError
        If an eigenvalue is negative beyond rounding: then it is no covariance.
    """
    values, vectors = np.linalg.eigh(covariance)
    top = float(values[-1])
    if values[0] < -_RANK_TOLERANCE * top:
        raise DataError(f"covariance has an eigenvalue of {values[0]:.3g}; none may be negative")
    if values[0] > _RANK_TOLERANCE * top:
        return np.asarray(np.linalg.cholesky(covariance)), []
    rank = int(np.count_nonzero(values > _RANK_TOLERANCE * top))
    spread = vectors * np.sqrt(np.where(values > _RANK_TOLERANCE * top, values, 0.0))
    return spread, [f"the covariance is singular, of rank {rank} of {len(values)}; eigenvectors replace Cholesky"]


def fit_degrees(returns: FloatArray, covariance: FloatArray) -> float:
    """Return the degrees of freedom, 2.1 to 200, under which returns with this covariance are likeliest.

    Parameters
    ----------
    returns : ndarray of shape (n_periods, n_assets)
    covariance : ndarray of shape (n_assets, n_assets)
        That of the t itself, which exists above 2 degrees. Directions without variance are left out.
    """
    values, vectors = np.linalg.eigh(covariance)
    wide = values > _RANK_TOLERANCE * values[-1]
    scores = (returns - returns.mean(axis=0)) @ (vectors[:, wide] / np.sqrt(values[wide]))
    distance, rank = np.square(scores).sum(axis=1), int(np.count_nonzero(wide))

    def unlikely(degrees: float) -> float:
        core = special.gammaln((degrees + rank) / 2.0) - special.gammaln(degrees / 2.0)
        core -= rank / 2.0 * np.log(degrees - 2.0)
        return float(-core + (degrees + rank) / 2.0 * np.log1p(distance / (degrees - 2.0)).mean())

    return float(minimize_scalar(unlikely, bounds=_DEGREES, method="bounded").x)
