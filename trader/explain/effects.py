"""How the score moves with one feature, on average: partial dependence and accumulated local effects."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError, NotFoundError
from trader.explain.subject import Subject

__all__ = ["Effect", "accumulated_local_effects", "partial_dependence"]

FloatArray = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True)
class Effect:
    """A curve over values of one feature.

    Parameters
    ----------
    kind : {"partial dependence", "accumulated local effects"}
    subject, feature : str
    grid : ndarray of shape (n_points,)
        Values of the feature, rising.
    values : ndarray of shape (n_points,)
        In units of the score; of ALE less their mean over the rows.
    n_rows : int
        With the feature known.
    """

    kind: str
    subject: str
    feature: str
    grid: FloatArray
    values: FloatArray
    n_rows: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        plain = dataclasses.asdict(self)
        return plain | {"grid": self.grid.tolist(), "values": self.values.tolist()}


def partial_dependence(subject: Subject, rows: FloatArray, feature: str, *, n_points: int = 20) -> Effect:
    """Return the mean score of the rows when all have the same value of a feature [1]_.

    It asks for scores of rows that may not exist where features are correlated; `accumulated_local_effects` does not.

    Parameters
    ----------
    subject : Subject
        Of models of single rows.
    rows : ndarray of shape (n_rows, n_features)
    feature : str
    n_points : int, default=20
        Quantiles of the feature, at most; equal ones are one point.

    References
    ----------
    .. [1] Friedman (2001), "Greedy function approximation: a gradient boosting machine", section 8.2.
    """
    column, rows = _prepared(subject, rows, feature)
    grid = _quantiles(rows[:, column], n_points)
    return Effect(
        "partial dependence",
        subject.name,
        feature,
        grid,
        np.array([float(np.nanmean(_with(subject, rows, column, value))) for value in grid]),
        rows.shape[0],
    )


def accumulated_local_effects(subject: Subject, rows: FloatArray, feature: str, *, n_points: int = 20) -> Effect:
    """Return the sum of local effects of a feature along its values, less its mean over the rows [1]_.

    In each interval between quantiles the rows that lie in it are moved to its ends; the mean difference of the
    scores is the effect of crossing it.

    Parameters
    ----------
    subject, rows, feature, n_points
        As for `partial_dependence`.

    References
    ----------
    .. [1] Apley and Zhu (2020), "Visualizing the effects of predictor variables in black box supervised learning
       models".
    """
    column, rows = _prepared(subject, rows, feature)
    grid = _quantiles(rows[:, column], n_points)
    if grid.size < 2:
        return Effect("accumulated local effects", subject.name, feature, grid, np.zeros(grid.size), rows.shape[0])
    interval = np.clip(np.searchsorted(grid, rows[:, column], side="left") - 1, 0, grid.size - 2)
    step = _with(subject, rows, column, grid[interval + 1]) - _with(subject, rows, column, grid[interval])
    scored = np.isfinite(step)
    counts = np.bincount(interval[scored], minlength=grid.size - 1)
    sums = np.bincount(interval[scored], weights=step[scored], minlength=grid.size - 1)
    steps = np.divide(sums, counts, out=np.zeros(grid.size - 1), where=counts > 0)
    curve = np.concatenate(([0.0], np.cumsum(steps)))
    curve -= np.interp(rows[:, column], grid, curve).mean()
    return Effect("accumulated local effects", subject.name, feature, grid, curve, rows.shape[0])


def _prepared(subject: Subject, rows: FloatArray, feature: str) -> tuple[int, FloatArray]:
    """Return the column of the feature and the rows that know it."""
    if subject.context > 1:
        raise DataError(f"{subject.name} reads {subject.context} instants; effects are those of models of single rows")
    if feature not in subject.feature_names:
        raise NotFoundError(f"feature {feature!r} is unknown; the model has {', '.join(subject.feature_names)}")
    column = subject.feature_names.index(feature)
    known = rows[np.isfinite(rows[:, column])]
    if not known.size:
        raise DataError(f"feature {feature!r} is known in none of the {rows.shape[0]} rows")
    return column, known


def _quantiles(values: FloatArray, n_points: int) -> FloatArray:
    if n_points < 2:
        raise DataError(f"n_points={n_points} is not allowed; at least 2 are")
    return np.unique(np.quantile(values, np.linspace(0.0, 1.0, n_points)))


def _with(subject: Subject, rows: FloatArray, column: int, value: float | FloatArray) -> FloatArray:
    changed = rows.copy()
    changed[:, column] = value
    scores: FloatArray = subject.scores(changed[None])[0]
    return scores
