"""Random returns of a block of paths, a period at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk.simulation.plan import SimulationPlan
from risk.simulation.ziggurat import fill_normals

__all__ = ["shocks"]

Array = NDArray[Any]

_TINY = 2.0**-32


def shocks(plan: SimulationPlan, rng: np.random.Generator, n_paths: int) -> Iterator[Array]:
    """Yield the returns of each period without their mean, shape (n_series, n_paths); the array is used again.

    Normals become a t by one chi-square a path and period, shared by the series: dependent in the tail.
    """
    if plan.spec.model == "bootstrap":
        yield from _resampled(plan, rng, n_paths)
        return
    dtype = np.dtype(plan.spec.dtype)
    spread = plan.spread.astype(dtype)
    out = np.empty((len(spread), n_paths), dtype)
    draws = _sobol(plan, rng, n_paths) if plan.spec.sampling == "sobol" else _drawn(plan, rng, n_paths)
    for normals, stretch in draws:
        if stretch is not None:
            normals *= stretch
        if len(spread) == 1:
            np.multiply(normals, spread[0, 0], out=out)
        else:
            np.matmul(spread, normals, out=out)
        yield out


def _drawn(plan: SimulationPlan, rng: np.random.Generator, n_paths: int) -> Iterator[tuple[Array, Array | None]]:
    """Yield standard normals and what stretches them to a t; antithetic paths mirror the first half."""
    dtype: Any = np.dtype(plan.spec.dtype)
    half = -(-n_paths // 2) if plan.spec.sampling == "antithetic" else n_paths
    fresh = np.empty((len(plan.spread), half), dtype)
    both = fresh if half == n_paths else np.empty((len(plan.spread), n_paths), dtype)
    for _ in range(plan.spec.horizon):
        if dtype == np.float32:
            fill_normals(rng, fresh)
        else:
            rng.standard_normal(dtype=dtype, out=fresh)
        if half < n_paths:
            both[:, :half] = fresh
            np.negative(fresh[:, : n_paths - half], out=both[:, half:])
        stretch = None
        if plan.spec.model == "t":
            stretch = _stretch(rng.standard_gamma(plan.degrees / 2.0, half, dtype=dtype), plan.degrees)
            stretch = np.concatenate([stretch, stretch[: n_paths - half]])
        yield both, stretch


def _sobol(plan: SimulationPlan, rng: np.random.Generator, n_paths: int) -> Iterator[tuple[Array, Array | None]]:
    """Yield the same from one scrambled net, periods first: early dimensions are the best spread ones."""
    from scipy.special import gammaincinv, ndtri
    from scipy.stats.qmc import Sobol

    n_series, is_t = len(plan.spread), plan.spec.model == "t"
    width = n_series + is_t
    net = Sobol(plan.spec.horizon * width, scramble=True, rng=rng)
    # The whole net is drawn and cut: the first points of a net are no net.
    points = net.random_base2(max(n_paths - 1, 0).bit_length())[:n_paths]
    dtype = np.dtype(plan.spec.dtype)
    for period in range(plan.spec.horizon):
        chosen = np.clip(points[:, period * width : (period + 1) * width].T, _TINY, 1.0 - _TINY)
        stretch = None
        if is_t:
            stretch = _stretch(gammaincinv(plan.degrees / 2.0, chosen[-1]), plan.degrees).astype(dtype)
        yield ndtri(chosen[:n_series]).astype(dtype), stretch


def _stretch(gammas: Array, degrees: float) -> Array:
    """Return what makes a unit-variance t of a standard normal, from gammas of shape degrees / 2."""
    one = gammas.dtype.type
    return np.asarray(np.sqrt(one(degrees / 2.0 - 1.0) / np.maximum(gammas, np.finfo(gammas.dtype).tiny)))


def _resampled(plan: SimulationPlan, rng: np.random.Generator, n_paths: int) -> Iterator[Array]:
    """Yield days of the history: the next one, round the end, or with chance 1 / block any other."""
    history = plan.history.astype(plan.spec.dtype)
    n_periods = history.shape[1]
    day = rng.integers(n_periods, size=n_paths)
    out = np.empty((len(history), n_paths), history.dtype)
    for period in range(plan.spec.horizon):
        if period and plan.spec.block == 1.0:
            day = rng.integers(n_periods, size=n_paths)
        elif period:
            day += 1
            day[day == n_periods] = 0
            leaps = rng.random(n_paths, np.float32) < 1.0 / plan.spec.block
            day[leaps] = rng.integers(n_periods, size=int(np.count_nonzero(leaps)))
        np.take(history, day, axis=1, out=out, mode="clip")
        yield out
