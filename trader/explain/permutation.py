"""SHAP values of any model by sampling permutations of the features."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.explain.instant import LocalScore

__all__ = ["Estimate", "permutation_shap"]

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Estimate(NamedTuple):
    """SHAP values of one row.

    Parameters
    ----------
    values, standard_error : ndarray of shape (n_features,)
    base : float
    dropped : float
        Share of the samples that were left out because the model abstained on a hybrid.
    """

    values: FloatArray
    standard_error: FloatArray
    base: float
    dropped: float


def permutation_shap(
    score: LocalScore, background: FloatArray, rng: np.random.Generator, *, rounds: int = 2
) -> Estimate:
    """Estimate the Shapley values of the game that `trader.explain.trees.tree_shap` computes exactly.

    Each background row takes its turn `rounds` times. A turn draws a permutation, turns the background row into the
    explained one feature by feature in that order, and again in the opposite order (antithetic sampling [1]_); a
    feature is credited with the mean of its two steps. Steps of a turn add up to the difference of the two rows'
    scores, so additivity holds however few the samples are. The standard error is that of the permutations: every
    background row is used, so that choosing among them adds none; it is pooled over the turns of the same row. An
    interaction that few permutations show makes it too small.

    Parameters
    ----------
    score : LocalScore
    background : ndarray of shape (n_background, n_features)
    rng : numpy.random.Generator
    rounds : int, default=2
        At least 2, or there would be no standard error.

    References
    ----------
    .. [1] Mitchell, Cooper, Frank and Holmes (2022), "Sampling permutations for Shapley value estimation".
    """
    if rounds < 2:
        raise DataError(f"rounds={rounds} is not allowed; at least 2 are needed for a standard error")
    n_background, d = background.shape
    ends = score.replaced(np.array([np.ones(d, bool)]), background[:1])[0]
    starts = score.replaced(np.zeros((n_background, d), bool), background)
    turns = np.empty((rounds, n_background, d))
    for turn in range(rounds):
        place = np.argsort(rng.random((n_background, d)), axis=1).argsort(axis=1)  # of a feature in its permutation
        forward = _walk(score, background, place, starts, ends)
        turns[turn] = 0.5 * (forward + _walk(score, background, d - 1 - place, starts, ends))
    return _estimate(turns, starts)


def _walk(score: LocalScore, background: FloatArray, place: IntArray, starts: FloatArray, ends: float) -> FloatArray:
    """Return what each feature adds when features join in the order of `place`, shape (n_background, n_features)."""
    n_background, d = background.shape
    scores = np.empty((n_background, d + 1))
    scores[:, 0], scores[:, d] = starts, ends
    joined = place[:, None, :] < np.arange(1, d)[:, None]  # (n_background, d - 1, d)
    inner = score.replaced(joined.reshape(-1, d), np.repeat(background, d - 1, axis=0))
    scores[:, 1:d] = inner.reshape(n_background, d - 1)
    steps: FloatArray = np.take_along_axis(np.diff(scores, axis=1), place, axis=1)
    return steps


def _estimate(turns: FloatArray, starts: FloatArray) -> Estimate:
    """Average turns of shape (rounds, n_background, n_features), leaving out those with an abstention."""
    scored: BoolArray = np.asarray(np.isfinite(turns).all(axis=2))
    count = scored.sum(axis=0)
    used = count > 0
    d = turns.shape[2]
    if not used.any():
        unknown = np.full(d, np.nan)
        return Estimate(unknown, unknown, float("nan"), 1.0)
    filled = np.where(scored[..., None], turns, 0.0)
    mean = filled.sum(axis=0)[used] / count[used, None]
    squares = np.where(scored[..., None], (turns - filled.sum(axis=0) / np.maximum(count, 1)[:, None]) ** 2, 0.0)
    freedom = (count[used] - 1).sum()
    variance = squares[:, used].sum(axis=(0, 1)) / freedom if freedom else np.full(d, np.nan)
    error = np.sqrt(variance * (1.0 / count[used]).sum()) / used.sum()
    return Estimate(mean.mean(axis=0), error, float(starts[used].mean()), float(1.0 - scored.mean()))
