"""Our own normals are normal: as a whole, in both tails, one after the other and side by side."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from risk.simulation.ziggurat import fill_normals

N = 4_000_000


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    """Four million, in an array of two dimensions."""
    out = np.empty((4, N // 4), np.float32)
    fill_normals(np.random.default_rng(7), out)
    return out


def test_the_distribution_is_normal(drawn: np.ndarray) -> None:
    """Kolmogorov-Smirnov, and a chi-square over 1,000 equally likely cells."""
    values = drawn.reshape(-1).astype(np.float64)
    assert stats.kstest(values, "norm").pvalue > 0.001
    cells = np.bincount((stats.norm.cdf(values) * 1000).astype(int).clip(0, 999), minlength=1000)
    assert stats.chisquare(cells).pvalue > 0.001


@pytest.mark.parametrize("beyond", [1.0, 2.0, 3.0, 3.6541528853610088, 4.0, 4.5])
def test_both_tails_have_their_share(drawn: np.ndarray, beyond: float) -> None:
    """Counts beyond a level, where the layers end and further out, are binomial."""
    for count in (int((drawn > beyond).sum()), int((drawn < -beyond).sum())):
        assert stats.binomtest(count, N, stats.norm.sf(beyond)).pvalue > 0.001
    assert np.abs(drawn).max() > 4.8


def test_neighbours_and_rows_are_independent(drawn: np.ndarray) -> None:
    """Numbers and their squares: correlations with the next, the one after, and the row below are noise."""
    limit = 4.0 / np.sqrt(N / 4)
    for values in (drawn.astype(np.float64), drawn.astype(np.float64) ** 2):
        row = values[0]
        for lag in (1, 2, 3, 256):
            assert abs(np.corrcoef(row[:-lag], row[lag:])[0, 1]) < limit
        assert np.abs(np.corrcoef(values) - np.eye(4)).max() < limit


def test_the_seed_decides() -> None:
    """Equal generators give equal numbers, and go on to others; another seed gives others."""
    one, two, three = (np.empty(1001, np.float32) for _ in range(3))
    rng = np.random.default_rng(1)
    fill_normals(rng, one)
    fill_normals(np.random.default_rng(1), two)
    np.testing.assert_array_equal(one, two)
    fill_normals(rng, two)
    fill_normals(np.random.default_rng(2), three)
    assert len(np.unique(np.concatenate([one, two, three]))) > 2990
