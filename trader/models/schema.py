"""Checks of what a model is given: rows, panels, and the names of the columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError

__all__ = ["check_asked", "check_names", "check_panel", "check_schema", "min_known"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def min_known(n_columns: int) -> int:
    """Return how many of `n_columns` features must be known for a row to be scored: half of them, rounded up."""
    return max(1, (n_columns + 1) // 2)


def check_schema(features: FloatArray, feature_names: tuple[str, ...]) -> FloatArray:
    """Return `features` as C-contiguous float64 rows of the fitted schema.

    Raises
    ------
    DataError
        If `features` is not of shape (n_rows, len(feature_names)).
    """
    rows: FloatArray = np.ascontiguousarray(features, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != len(feature_names):
        raise DataError(
            f"features have shape {rows.shape}; the model was fitted on {len(feature_names)} columns "
            f"and takes (n_rows, {len(feature_names)})"
        )
    return rows


def check_names(fitted: tuple[str, ...], given: tuple[str, ...]) -> None:
    """Refuse columns that are not those of the fit, in their order.

    Parameters
    ----------
    fitted, given : tuple of str
        `model.feature_names`, and the names of the columns about to be scored.

    Raises
    ------
    DataError
        Naming the first column that differs.

    Examples
    --------
    >>> check_names(("a", "b"), ("b", "a"))
    Traceback (most recent call last):
    trader.core.errors.DataError: column 0 is 'b'; the model was fitted on 'a' there (2 columns given, 2 fitted)
    """
    if tuple(given) == tuple(fitted):
        return
    counts = f"({len(given)} columns given, {len(fitted)} fitted)"
    for position, (own, other) in enumerate(zip(fitted, given, strict=False)):
        if own != other:
            raise DataError(f"column {position} is {other!r}; the model was fitted on {own!r} there {counts}")
    longer = fitted if len(fitted) > len(given) else given
    word = "missing" if longer is fitted else "unknown"
    raise DataError(
        f"column {min(len(fitted), len(given))} {longer[min(len(fitted), len(given))]!r} is {word} {counts}"
    )


def check_panel(
    features: FloatArray,
    target: FloatArray,
    feature_names: tuple[str, ...],
    instants: IntArray | None,
    weight: FloatArray | None,
) -> tuple[IntArray, FloatArray]:
    """Return the positions to learn from and a weight for every label, checked.

    Parameters
    ----------
    features : ndarray of shape (n_slices, n_symbols, n_features)
    target : ndarray of shape (n_slices, n_symbols)
    feature_names : tuple of str
    instants : ndarray of int, optional
        None is all.
    weight : ndarray of shape (n_slices, n_symbols), optional
        None is 1 everywhere.

    Raises
    ------
    DataError
        If shapes disagree, names repeat, instants do not rise within the panel, or a weight is negative or not
        finite.
    """
    if features.ndim != 3 or features.shape[2] != len(feature_names):
        raise DataError(f"features have shape {features.shape}; (n_slices, n_symbols, {len(feature_names)}) is needed")
    if len(set(feature_names)) != len(feature_names):
        raise DataError(f"feature_names={feature_names!r} hold a name more than once")
    shape = features.shape[:2]
    if target.shape != shape:
        raise DataError(f"target has shape {target.shape}; features of shape {features.shape} need {shape}")
    weights = np.ones(shape) if weight is None else np.asarray(weight, dtype=np.float64)
    if weights.shape != shape:
        raise DataError(f"weight has shape {weights.shape}; features of shape {features.shape} need {shape}")
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise DataError("weight must be finite and not negative everywhere")
    chosen = np.arange(shape[0]) if instants is None else np.asarray(instants, dtype=np.int64)
    if chosen.ndim != 1 or (chosen.size and (chosen[0] < 0 or chosen[-1] >= shape[0] or (np.diff(chosen) <= 0).any())):
        raise DataError(f"instants must be rising positions from 0 to {shape[0] - 1}")
    return chosen, weights


def check_asked(features: FloatArray, n_context: int, n_features: int) -> None:
    """Refuse what is not a panel of `n_features` columns, or a context that is longer than it.

    Raises
    ------
    DataError
        If `features` are not of shape (n_context + n_slices, n_symbols, n_features).
    """
    if features.ndim != 3 or features.shape[2] != n_features:
        raise DataError(
            f"features have shape {features.shape}; the model was fitted on {n_features} columns "
            f"and takes (n_slices, n_symbols, {n_features})"
        )
    if not 0 <= n_context <= features.shape[0]:
        raise DataError(f"n_context={n_context} is not allowed; features hold {features.shape[0]} instants")
