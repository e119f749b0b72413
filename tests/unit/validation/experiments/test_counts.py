"""Count tests against scipy, published splits and martingale theory."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats

from trader.core.errors import DataError
from trader.validation.experiments import chi_square, sample_ratio_mismatch, sequential_sample_ratio


def test_chi_square_by_hand() -> None:
    """Two arms, three outcomes: squared deviations over expectations, two degrees of freedom."""
    table = np.array([[20.0, 30.0, 50.0], [30.0, 30.0, 40.0]])
    expected = table.sum(axis=1)[:, None] * table.sum(axis=0) / table.sum()
    assert chi_square(table) == pytest.approx(stats.chi2.sf(((table - expected) ** 2 / expected).sum(), 2))


def test_a_column_without_counts_is_undefined() -> None:
    """Nothing is known of an outcome that never happened, or with no data at all."""
    assert math.isnan(chi_square([[3, 0], [4, 0]]))
    assert math.isnan(sample_ratio_mismatch([0, 0], [1, 1]))


def test_published_sample_ratio_mismatch() -> None:
    """Fabijan et al. and Kohavi: 821,588 against 815,482 of a 50/50 split has p = 1.8e-6."""
    assert sample_ratio_mismatch([821_588, 815_482], [0.5, 0.5]) == pytest.approx(1.8e-6, abs=5e-8)


def test_sequential_evidence_is_the_ratio_of_marginal_likelihoods() -> None:
    """For two arms: beta-binomial over binomial."""
    prior = 50.0
    log_marginal = special.betaln(prior + 70, prior + 40) - special.betaln(prior, prior)
    log_null = 110 * math.log(0.5)
    expected = math.exp(log_null - log_marginal)
    assert expected < 1.0
    assert sequential_sample_ratio([70, 40], [1, 1], 100.0) == pytest.approx(expected)


def test_watched_splits_alarm_rarely() -> None:
    """A fair split looked at 25 times: ever below .05 in at most 5 % of 120 experiments, and an unfair one in all."""
    rng = np.random.default_rng(0)

    def alarms(share: float) -> float:
        sides = np.cumsum(rng.random((120, 1000)) < share, axis=1)[:, 39::40]
        looks = range(40, 1001, 40)
        lowest = [
            min(sequential_sample_ratio([k, n - k], [1, 1], 200.0) for k, n in zip(row, looks, strict=True))
            for row in sides
        ]
        return float(np.mean(np.array(lowest) < 0.05))

    assert 0.0 < alarms(0.5) <= 0.05
    assert alarms(0.6) == 1.0


def test_nobody_assigned_is_no_mismatch_yet() -> None:
    """Before the first unit the always-valid p-value is 1."""
    assert sequential_sample_ratio([0, 0, 0], [1, 1, 2]) == 1.0


def test_bad_input_is_named() -> None:
    """The argument, its value and what is allowed."""
    with pytest.raises(DataError, match=r"counts=\[1\.5, 2\.0\]"):
        sample_ratio_mismatch([1.5, 2], [1, 1])
    with pytest.raises(DataError, match=r"expected=\[1\.0, 0\.0\]"):
        sample_ratio_mismatch([1, 2], [1, 0])
    with pytest.raises(DataError, match=r"counts of shape \(2,\) and expected of shape \(3,\)"):
        sample_ratio_mismatch([1, 2], [1, 1, 1])
    with pytest.raises(DataError, match=r"table of shape \(2,\)"):
        chi_square([1, 2])
    with pytest.raises(DataError, match=r"concentration=0"):
        sequential_sample_ratio([1, 2], [1, 1], 0)
