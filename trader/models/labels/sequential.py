"""The sequential bootstrap: resamples of overlapping labels that are nearly as informative as independent ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.models.labels.kernels import draw_sequentially

__all__ = ["draw_probabilities", "sequential_bootstrap"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def sequential_bootstrap(first: IntArray, last: IntArray, *, seed: int, n_draws: int | None = None) -> IntArray:
    """Draw labels with replacement, avoiding those that overlap what was drawn before [1]_.

    Parameters
    ----------
    first, last : ndarray of shape (n_labels,)
        Bars that each label is made of, both ends included.
    seed : int
    n_draws : int, optional
        None draws as many as there are labels.

    Returns
    -------
    ndarray of shape (n_draws,)
        Positions of labels, in order of drawing.

    Notes
    -----
    A draw looks at every label once, and afterwards at the bars of those it overlaps: ten thousand labels of ten
    bars take less than a second.

    References
    ----------
    .. [1] López de Prado (2018), "Advances in Financial Machine Learning", section 4.5.
    """
    _check(first, last)
    draws = first.size if n_draws is None else n_draws
    if draws < 0:
        raise DataError(f"n_draws={n_draws} is not allowed; it must not be negative")
    order = np.argsort(first, kind="stable")
    uniform = np.random.default_rng(seed).random(draws)
    offset = int(first.min())
    spans = (np.ascontiguousarray(side[order] - offset, dtype=np.int64) for side in (first, last))
    drawn: IntArray = order[draw_sequentially(*spans, int(last.max()) - offset + 1, uniform)]
    return drawn


def draw_probabilities(first: IntArray, last: IntArray, drawn: IntArray) -> FloatArray:
    """Return the chance of each label to be drawn next, after those at the positions `drawn`.

    It is in proportion to the label's average uniqueness among itself and the drawn.

    Examples
    --------
    The example of the book: three labels of bars 0-2, 2-3 and 4-5; the second has been drawn.

    >>> (14 * draw_probabilities(np.array([0, 2, 4]), np.array([2, 3, 5]), np.array([1]))).round(9).tolist()
    [5.0, 3.0, 6.0]
    """
    _check(first, last)
    covered = np.zeros(int(last.max()) + 1)
    for label in drawn:
        covered[first[label] : last[label] + 1] += 1
    uniqueness = np.array([np.mean(1.0 / (covered[a : b + 1] + 1)) for a, b in zip(first, last, strict=True)])
    chances: FloatArray = uniqueness / uniqueness.sum()
    return chances


def _check(first: IntArray, last: IntArray) -> None:
    if first.ndim != 1 or first.shape != last.shape or first.size == 0:
        raise DataError(f"first has shape {first.shape}, last {last.shape}; both must be (n_labels,), at least one")
    if np.any(last < first) or np.any(first < 0):
        raise DataError("every label must begin at bar 0 or later and end no earlier than it begins")
