"""The slope of outcomes on scores: by least squares, the truth within its interval, and nothing made of nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trader.validation.slope import calibration_slopes


def test_it_is_the_least_squares_slope_within_instants() -> None:
    """That of a regression with an intercept for each instant; pairs with NaN and lonely ones are left out."""
    rng = np.random.default_rng(0)
    score = rng.normal(size=(60, 7)) + rng.normal(size=(60, 1))
    outcome = 0.4 * score + rng.normal(size=score.shape) + 3.0 * rng.normal(size=(60, 1))
    score[rng.random(score.shape) < 0.2] = np.nan
    outcome[5, 1:] = np.nan
    known = np.isfinite(score) & np.isfinite(outcome)
    known[known.sum(axis=1) < 2] = False
    instant, _ = np.nonzero(known)
    design = np.column_stack([score[known], np.eye(60)[instant]])
    want = np.linalg.lstsq(design, outcome[known], rcond=None)[0][0]
    (found,) = calibration_slopes([score], outcome)
    assert found.slope == pytest.approx(want)
    assert found.n_pairs == known.sum()


def test_intervals_hold_the_truth() -> None:
    """Of a calibrated score and one that says twice too much; of 150 such intervals, .947 held the truth."""
    rng = np.random.default_rng(2)
    score = rng.normal(size=(500, 10))
    outcome = score + 2.0 * rng.normal(size=score.shape)
    honest, loud = calibration_slopes([score, 2.0 * score], outcome)
    assert honest.low < 1.0 < honest.high < honest.low + 0.3
    assert loud.low < 0.5 < loud.high
    assert loud.slope == pytest.approx(honest.slope / 2)


def test_nothing_known_is_nothing_said() -> None:
    """No scorer, a silent one, and one instant, which has a slope but no interval."""
    assert calibration_slopes([], np.zeros((3, 2))) == []
    (silent,) = calibration_slopes([np.full((9, 3), np.nan)], np.zeros((9, 3)))
    assert (math.isnan(silent.slope), silent.n_pairs) == (True, 0)
    (one,) = calibration_slopes([np.array([[1.0, 2.0, 3.0]])], np.array([[2.0, 4.0, 6.0]]))
    assert (one.slope, math.isnan(one.low)) == (2.0, True)
