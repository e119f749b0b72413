"""What each method would have said the evening before, through the whole past."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk.results import check_level, check_sample
from risk.threads import one_thread
from risk.validation.moments import rolling_by_age, rolling_historical, rolling_moments
from risk.var.cornish_fisher import CornishFisher
from risk.var.filtered import GarchFilter, Innovations, filtered, fit_filter
from risk.var.historical import age_weights
from risk.var.methods import METHODS, choose_methods
from risk.var.parametric import normal_tail
from risk.var.sample import Sample
from trader.core.errors import DataError

__all__ = ["Forecasts", "rolling_forecasts"]

FloatArray = NDArray[np.float64]

_INNOVATIONS: dict[str, Innovations] = {"garch_t": "t", "fhs": "historical", "fhs_evt": "evt"}
_EVERY_PERIOD = ("historical", "age_weighted", "normal", "ewma", "cornish_fisher")


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Forecasts:
    """Value at risk and expected shortfall of each period, made from the periods before it.

    Parameters
    ----------
    method : str
    level : float
    window : int
        Periods each forecast is made from.
    refit : int
        Periods from one fit to the next; 1 for methods cheap enough to be computed every period.
    first : int
        Place of the first forecast's period among the returns.
    returns, var, es : ndarray of shape (n_forecasts,)
        What came, and what was said of it.
    warnings : tuple of str
        Of the fits, each with the number of fits that gave it.
    """

    method: str
    level: float
    window: int
    refit: int
    first: int
    returns: FloatArray
    var: FloatArray
    es: FloatArray
    warnings: tuple[str, ...] = ()


def rolling_forecasts(
    returns: FloatArray,
    methods: Sequence[str] = (),
    level: float = 0.99,
    *,
    window: int = 1000,
    refit: int = 20,
    first: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> list[Forecasts]:
    """Forecast each period from the `window` periods before it, by several methods.

    Moments and quantiles move on every period. Fits by maximum likelihood and draws are made every `refit` periods; in
    between a filter goes on with its parameters, so its volatility is always that of yesterday, and the others keep
    their figures.

    Parameters
    ----------
    returns : ndarray of shape (n_periods,)
        Of the portfolio; finite, oldest first.
    methods : sequence of str, optional
        Keys of `METHODS`; all by default.
    level : float, default=0.99
    window, refit : int
    first : int, optional
        The first period to forecast; `window` by default, so that methods with different windows can be compared.
    on_progress : callable, optional
        Called with the steps done and all steps.
    **options
        As `Sample` has them.

    Raises
    ------
    DataError
        If no period is left to forecast, an argument is not allowed, or a method cannot be fitted.
    """
    values, level = check_sample(returns, 2), check_level(level)
    names = choose_methods(methods)
    begin = window if first is None else first
    if window < 10 or refit < 1 or begin < window:
        raise DataError(
            f"window={window}, refit={refit}, first={begin} are not allowed; window from 10, refit from 1, first from "
            "window on are"
        )
    if values.size <= begin:
        raise DataError(f"returns has {values.size} periods; more than {begin} are needed to forecast one")
    starts = range(begin, values.size, refit)
    with_filter = [name for name in names if METHODS[name].filtered]
    refitted = [name for name in names if not METHODS[name].filtered and name not in _EVERY_PERIOD]
    total = len(names) - len(with_filter) - len(refitted) + len(starts) * (bool(refitted) + bool(with_filter))
    steps = iter(range(1, total + 1))

    def step() -> None:
        done = next(steps)
        if on_progress is not None:
            on_progress(done, total)

    found: dict[str, Forecasts] = {}
    past = values[begin - window :]

    def keep(name: str, var: FloatArray, es: FloatArray, every: int, notes: Sequence[str] = ()) -> None:
        found[name] = Forecasts(name, level, window, every, begin, values[begin:], var, es, _counted(notes))

    with one_thread():
        for name in names:
            if name in _EVERY_PERIOD:
                keep(name, *_every_period(name, past, window, level, options), 1)
                step()
        for name, (var, es, notes) in _refitted(values, refitted, level, window, refit, starts, step, options).items():
            keep(name, var, es, refit, notes)
        for name, (var, es, notes) in _filtered(
            values, with_filter, level, window, refit, starts, step, options
        ).items():
            keep(name, var, es, refit, notes)
    return [found[name] for name in names]


def _every_period(
    name: str, past: FloatArray, window: int, level: float, options: dict[str, Any]
) -> tuple[FloatArray, FloatArray]:
    if name == "historical":
        return rolling_historical(past, window, level)
    if name == "age_weighted":
        return rolling_by_age(past, window, level, age_weights(window, options.get("age_decay", 0.99)))
    if name == "ewma":
        weights = age_weights(window, options.get("decay", 0.94))
        windows = np.lib.stride_tricks.sliding_window_view(np.square(past[:-1]), window)
        deviation = np.sqrt(windows @ weights)
        var, es = normal_tail(level)
        return deviation * var, deviation * es
    moments = rolling_moments(past, window)
    if name == "normal":
        var, es = normal_tail(level)
        return moments.deviation * var - moments.mean, moments.deviation * es - moments.mean
    rows = zip(moments.mean, moments.deviation, moments.skewness, moments.excess_kurtosis, strict=True)
    pairs = np.array([CornishFisher(*(float(value) for value in row)).var_es(level) for row in rows])
    return pairs[:, 0], pairs[:, 1]


def _refitted(
    values: FloatArray,
    names: Sequence[str],
    level: float,
    window: int,
    refit: int,
    starts: range,
    step: Callable[[], None],
    options: dict[str, Any],
) -> dict[str, tuple[FloatArray, FloatArray, list[str]]]:
    """Return VaR, ES and warnings of methods that keep their figures between fits; what they share is fitted once."""
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    notes: dict[str, list[str]] = {name: [] for name in names}
    for start in _each(starts if names else range(0), step):
        sample = Sample.of_series(values[start - window : start], **options)
        for name in names:
            distribution = METHODS[name].fit(sample)
            figures[name].append(distribution.var_es(level))
            notes[name] += distribution.warnings
    n_forecasts = values.size - starts.start
    return {
        name: (*np.repeat(np.array(pairs), refit, axis=0)[:n_forecasts].T, notes[name])
        for name, pairs in figures.items()
    }


def _filtered(
    values: FloatArray,
    names: Sequence[str],
    level: float,
    window: int,
    refit: int,
    starts: range,
    step: Callable[[], None],
    options: dict[str, Any],
) -> dict[str, tuple[FloatArray, FloatArray, list[str]]]:
    """Return VaR, ES and warnings of each filtered method; all share one filter."""
    parts: dict[str, list[tuple[FloatArray, FloatArray]]] = {name: [] for name in names}
    notes: dict[str, list[str]] = {name: [] for name in names}
    garch: GarchFilter | None = None
    for start in _each(starts if names else range(0), step):
        garch = fit_filter(values[start - window : start], start=garch)
        later = garch.variances_after(values[start : min(start + refit, values.size) - 1])
        deviations = np.sqrt(np.concatenate([[garch.next_variance], later]))
        for name in names:
            fitted = filtered(garch, _INNOVATIONS[name], options.get("tail_fraction", 0.1))
            var, es = fitted.innovations.var_es(level)
            parts[name].append((deviations * var - garch.mean, deviations * es - garch.mean))
            notes[name] += fitted.warnings
    return {
        name: (np.concatenate([var for var, _ in pieces]), np.concatenate([es for _, es in pieces]), notes[name])
        for name, pieces in parts.items()
    }


def _each(starts: range, step: Callable[[], None]) -> Iterator[int]:
    for start in starts:
        yield start
        step()


def _counted(notes: Sequence[str]) -> tuple[str, ...]:
    """Return each kind of warning once, with how often it came; numbers in it are those of the first."""
    kinds: dict[str, list[str]] = {}
    for note in notes:
        kinds.setdefault("".join(c for c in note if not (c.isdigit() or c in ".-−")), []).append(note)
    return tuple(f"{same[0]} (first of {len(same)} such fits)" for same in kinds.values())
