"""Scores beside outcomes: the slope of least squares, a table that adds up, intervals that hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trader.core.errors import DataError
from trader.validation.score_calibration import score_calibration


def _panel(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Scores with a slope of .4 and instants of their own level, a fifth of them unknown; shape (n, 7)."""
    rng = np.random.default_rng(seed)
    score = rng.normal(size=(n, 7)) + rng.normal(size=(n, 1))
    outcome = 0.4 * score + rng.normal(size=score.shape) + 3.0 * rng.normal(size=(n, 1))
    score[rng.random(score.shape) < 0.2] = np.nan
    outcome[5, 1:] = np.nan
    return score, outcome


def test_it_is_the_least_squares_slope_within_instants() -> None:
    """That of a regression with an intercept for each instant; pairs with NaN and lonely ones are left out."""
    score, outcome = _panel(0)
    known = np.isfinite(score) & np.isfinite(outcome)
    known[known.sum(axis=1) < 2] = False
    instant, _ = np.nonzero(known)
    design = np.column_stack([score[known], np.eye(60)[instant]])
    want = np.linalg.lstsq(design, outcome[known], rcond=None)[0][0]
    found = score_calibration(score, outcome)
    assert found.slope == pytest.approx(want)
    assert (found.n_pairs, found.n_instants) == (known.sum(), 59)


def test_the_table_is_that_of_sorted_pairs() -> None:
    """Fifths of the pairs by score, each with the means that a loop over them gives; they add up to nothing."""
    score, outcome = _panel(1)
    pairs = []
    for x, y in zip(score, outcome, strict=True):
        both = np.isfinite(x) & np.isfinite(y)
        if both.sum() >= 2:
            pairs += list(zip(x[both] - x[both].mean(), y[both] - y[both].mean(), strict=True))
    found = score_calibration(score, outcome)
    assert sum(part.count for part in found.bins) == len(pairs) == found.n_pairs
    assert max(abs(part.count - len(pairs) / 5) for part in found.bins) <= 1.0
    fifths = np.split(sorted(pairs), np.cumsum([part.count for part in found.bins])[:-1])
    for part, fifth in zip(found.bins, fifths, strict=True):
        assert (part.score, part.outcome) == pytest.approx(tuple(fifth.mean(axis=0)))
        assert part.low < part.outcome < part.high
    assert sum(part.count * part.outcome for part in found.bins) == pytest.approx(0.0, abs=1e-9)


def test_intervals_hold_the_truth() -> None:
    """Of a slope of .7, with autocorrelated scores, a common shock and outcomes that overlap: 19 of 20 times."""
    rng = np.random.default_rng(5)
    held, widths = 0, []
    for _ in range(200):
        score = rng.normal(size=(300, 5))
        for t in range(1, len(score)):
            score[t] += 0.8 * score[t - 1]
        shocks = rng.standard_t(4, size=(304, 5)) + rng.normal(size=(304, 1)) * rng.normal(size=5)
        noise = np.lib.stride_tricks.sliding_window_view(shocks, 5, axis=0).sum(axis=-1)
        found = score_calibration(score, 0.7 * score + noise)
        held += found.low < 0.7 < found.high
        widths.append(found.high - found.low)
    assert 0.91 <= held / 200 <= 0.985
    assert np.median(widths) < 0.6


def test_a_score_that_says_too_much_has_a_lower_slope() -> None:
    score, outcome = _panel(2, 300)
    honest, loud = (score_calibration(times * score, outcome) for times in (1.0, 2.0))
    assert (loud.slope, loud.low, loud.high) == pytest.approx((honest.slope / 2, honest.low / 2, honest.high / 2))


def test_nothing_known_is_nothing_said() -> None:
    """A silent scorer, one that says the same of all, and one instant, which has a slope but no interval."""
    silent = score_calibration(np.full((9, 3), np.nan), np.zeros((9, 3)))
    assert (math.isnan(silent.slope), silent.n_pairs, silent.bins) == (True, 0, ())
    level = score_calibration(np.ones((9, 3)), np.arange(27.0).reshape(9, 3))
    assert math.isnan(level.slope)
    assert [(part.score, part.count) for part in level.bins] == [(0.0, 27)]
    one = score_calibration(np.array([[1.0, 2.0, 3.0]]), np.array([[2.0, 4.0, 6.0]]))
    assert (one.slope, math.isnan(one.low), math.isnan(one.bins[0].high)) == (2.0, True, True)


@pytest.mark.parametrize(
    ("shape", "n_bins", "said"), [((2, 2), 5, r"score has shape \(2, 3\), outcome \(2, 2\)"), ((2, 3), 0, "n_bins=0")]
)
def test_what_does_not_fit_is_refused(shape: tuple[int, int], n_bins: int, said: str) -> None:
    with pytest.raises(DataError, match=said):
        score_calibration(np.zeros((2, 3)), np.zeros(shape), n_bins=n_bins)
