"""Ranks and z-scores across symbols, against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from trader.features import CrossSection, all_features


def ranks_of(values: np.ndarray) -> np.ndarray:
    return CrossSection(("return_63d",), values.size).apply(values[None, :, None])[0, :, 0]


def scores_of(values: np.ndarray) -> np.ndarray:
    return CrossSection(("return_1d",), values.size).apply(values[None, :, None])[0, :, 1]


@pytest.mark.parametrize("n", [1, 2, 20, 256, 257, 900])
def test_ranks_are_those_of_scipy(n):
    """Average ranks among finite values, spaced evenly in (-½, ½); both ways of ranking (few, many) agree with it."""
    rng = np.random.default_rng(n)
    values = rng.integers(0, max(n // 2, 2), n).astype(float)  # with ties
    values[rng.random(n) < 0.2] = np.nan
    if n > 2:
        values[0], values[1] = np.inf, -np.inf
    finite = np.isfinite(values)
    expected = np.full(n, np.nan)
    expected[finite] = (stats.rankdata(values[finite]) - 0.5) / max(finite.sum(), 1) - 0.5
    np.testing.assert_allclose(ranks_of(values), expected, atol=1e-15)


def test_rank_of_one_symbol_is_the_middle():
    """Alone, a symbol is neither high nor low."""
    assert ranks_of(np.array([7.0])).tolist() == [0.0]


def test_scores_are_those_of_scipy():
    """Mean 0, deviation 1 among the finite; equal values and a single one have no score."""
    values = np.random.default_rng(2).normal(size=30)
    np.testing.assert_allclose(scores_of(values), stats.zscore(values, ddof=1), rtol=1e-12)
    values[3] = np.nan
    scored = scores_of(values)
    assert np.isnan(scored[3])
    np.testing.assert_allclose(np.delete(scored, 3), stats.zscore(np.delete(values, 3), ddof=1), rtol=1e-12)
    for undefined in (np.full(7, 0.1), np.array([1.0, np.nan]), np.full(3, np.nan)):
        assert np.isnan(scores_of(undefined)).all()


def test_names_follow_what_exists():
    """Only features that exist are ranked; `all_features` puts the per-symbol ones first."""
    section = CrossSection(("rsi_14d", "return_1d", "return_63d"), 3)
    assert section.names == ("rank_return_1d", "rank_return_63d", "z_return_1d")
    features = np.random.default_rng(0).normal(size=(5, 3, 3))
    together = all_features(features, section)
    np.testing.assert_array_equal(together[:, :, :3], features)
    np.testing.assert_array_equal(together[:, :, 3:], section.apply(features))
    assert CrossSection(("rsi_14d",), 3).apply(features[:, :, :1]).shape == (5, 3, 0)


def test_slices_do_not_meet():
    """Each instant is ranked alone, so a block equals its slices, and a read-only one a writable one."""
    features = np.random.default_rng(1).normal(size=(6, 10, 1))
    section = CrossSection(("return_5d",), 10)
    whole = section.apply(features)
    for t in range(6):
        np.testing.assert_array_equal(section.apply(features[t : t + 1]), whole[t : t + 1])
    features.flags.writeable = False
    np.testing.assert_array_equal(section.apply(features), whole)
