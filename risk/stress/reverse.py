"""Reverse stress tests: the most likely way to lose a given amount."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.optimize import minimize

from risk.simulation.plan import spread_of
from risk.stress.sensitivity import LinearBook, Revalue
from trader.core.errors import DataError

__all__ = ["ReverseStress", "reverse_linear", "reverse_stress"]

FloatArray = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True)
class ReverseStress:
    """The scenario nearest to nothing, in the sense of Mahalanobis, that loses an amount.

    Parameters
    ----------
    loss : float
        Fraction of value, positive.
    shocks : dict of str to float
        By factor.
    distance : float
        Mahalanobis, in standard deviations.
    probability : float
        That normal factors lose as much or more, if the P&L is linear between here and there: Φ(-distance).
    warnings : tuple of str
    """

    loss: float
    shocks: dict[str, float]
    distance: float
    probability: float
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return dataclasses.asdict(self) | {"warnings": list(self.warnings)}


def reverse_linear(book: LinearBook, covariance: FloatArray, loss: float) -> ReverseStress:
    """Return the answer for a linear P&L and elliptical factors in closed form: x = -loss Σb / (bᵀΣb).

    Parameters
    ----------
    book : LinearBook
    covariance : ndarray of shape (n_factors, n_factors)
        Of the factors, over the period that a distance is to mean something for.
    loss : float
        Positive fraction of value.

    Raises
    ------
    DataError
        If the loss is not positive, shapes differ, or the P&L does not vary.
    """
    covariance = _checked(covariance, len(book.factors), loss)
    exposures = np.array(book.exposures)
    variance = float(exposures @ covariance @ exposures)
    if not variance > 0.0:
        raise DataError("the P&L does not vary with the factors; no scenario of theirs loses anything")
    return _result(book.factors, -loss * (covariance @ exposures) / variance, loss / np.sqrt(variance), loss, [])


def reverse_stress(
    revalue: Revalue,
    factors: Sequence[str],
    covariance: FloatArray,
    loss: float,
    *,
    n_starts: int = 32,
    seed: int = 0,
) -> ReverseStress:
    """Search the answer for any P&L, options and all, from several starts.

    Parameters
    ----------
    revalue : callable
        From moves, shape (n, n_factors), to P&L, shape (n,); continuous.
    factors : sequence of str
    covariance : ndarray of shape (n_factors, n_factors)
    loss : float
        Positive fraction of value.
    n_starts : int, default=32
        Random directions that the search starts from, beside the steepest one.
    seed : int, default=0

    Raises
    ------
    DataError
        As `reverse_linear`, or if no start within 40 standard deviations came to the loss.
    """
    spread, warnings = spread_of(_checked(covariance, len(factors), loss))

    def pnl(scores: FloatArray) -> FloatArray:
        return np.asarray(revalue(np.atleast_2d(scores) @ spread.T), np.float64)

    best: FloatArray | None = None
    for start in _starts(pnl, len(factors), loss, n_starts, seed):
        found = minimize(
            lambda scores: float(scores @ scores),
            start,
            jac=lambda scores: 2.0 * scores,
            constraints={"type": "eq", "fun": lambda scores: (float(pnl(scores)[0]) + loss) / loss},
            method="SLSQP",
            options={"maxiter": 200, "ftol": 1e-12},
        )
        reached = abs(float(pnl(found.x)[0]) + loss) <= 1e-6 * loss
        if reached and (best is None or found.x @ found.x < best @ best):
            best = found.x
    if best is None:
        raise DataError(f"loss={loss} is not reached within {_FAR:.0f} standard deviations of the factors")
    return _result(factors, spread @ best, float(np.sqrt(best @ best)), loss, warnings)


_FAR = 40.0


def _starts(pnl: Revalue, n_factors: int, loss: float, n_starts: int, seed: int) -> list[FloatArray]:
    """Return points that lose the amount, each the first on a ray from nothing that does."""
    rays = np.random.default_rng(seed).standard_normal((n_starts, n_factors))
    step = 1e-4
    steepest = np.array([(pnl(-step * one) - pnl(step * one))[0] for one in np.eye(n_factors)])
    rays = np.vstack([steepest, rays, np.eye(n_factors), -np.eye(n_factors)])
    lengths = np.linspace(0.0, _FAR, 401)[1:]
    starts = []
    for ray in rays[np.linalg.norm(rays, axis=1) > 0.0]:
        unit = ray / np.linalg.norm(ray)
        beyond = pnl(lengths[:, None] * unit) <= -loss
        if beyond.any():
            starts.append(float(lengths[int(np.argmax(beyond))]) * unit)
    return starts


def _checked(covariance: FloatArray, n_factors: int, loss: float) -> FloatArray:
    found = np.asarray(covariance, np.float64)
    if found.shape != (n_factors, n_factors) or not np.isfinite(found).all():
        raise DataError(f"covariance has shape {found.shape}; ({n_factors}, {n_factors}) finite is needed")
    if not 0.0 < loss < np.inf:
        raise DataError(f"loss={loss} is not allowed; a positive fraction of value is, e.g. .1")
    spread_of(found)  # raises for what is no covariance
    return found


def _result(
    factors: Sequence[str], shocks: FloatArray, distance: float, loss: float, warnings: list[str]
) -> ReverseStress:
    by_name = dict(zip(factors, shocks.tolist(), strict=True))
    warnings = warnings + [f"{name} would fall below -100 %" for name, shock in by_name.items() if shock < -1.0]
    return ReverseStress(loss, by_name, float(distance), float(special.ndtr(-distance)), tuple(warnings))
