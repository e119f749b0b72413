"""Group sequential boundaries against published tables and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from trader.core.errors import DataError
from trader.validation.experiments import spending_boundaries, spent_alpha

FIVE = [0.2, 0.4, 0.6, 0.8, 1.0]


@pytest.mark.parametrize(
    ("spending", "published"),
    [
        ("obrien-fleming", [4.877, 3.357, 2.680, 2.290, 2.031]),
        ("pocock", [2.438, 2.427, 2.410, 2.397, 2.386]),
    ],
)
def test_published_boundaries(spending: str, published: list[float]) -> None:
    """Five equally spaced looks, two-sided 5 %, as in Lan and DeMets' tables."""
    assert spending_boundaries(FIVE, spending=spending) == pytest.approx(published, abs=6e-4)


def test_one_look_is_the_fixed_test() -> None:
    """All error at the end is the usual quantile."""
    assert spending_boundaries([1.0], alpha=0.1) == pytest.approx([stats.norm.isf(0.05)])


@pytest.mark.parametrize("spending", ["obrien-fleming", "pocock"])
def test_simulated_crossings_spend_what_was_planned(spending: str) -> None:
    """At unequal looks, 60,000 Brownian paths first cross as often as the function allows, up to each look."""
    times = np.array([0.15, 0.5, 0.6, 1.0])
    steps = np.random.default_rng(0).normal(size=(60_000, 4)) * np.sqrt(np.diff(times, prepend=0.0))
    z = np.cumsum(steps, axis=1) / np.sqrt(times)
    crossed = np.maximum.accumulate(np.abs(z) > spending_boundaries(times, spending=spending), axis=1)
    assert crossed.mean(axis=0) == pytest.approx(spent_alpha(times, spending=spending), abs=3e-3)


def test_all_is_spent_at_the_end() -> None:
    """Both functions reach alpha at full information, in many looks too."""
    looks = np.arange(1, 51) / 50
    assert spent_alpha(looks, 0.1)[-1] == pytest.approx(0.1)
    assert spent_alpha(looks, 0.1, "pocock")[-1] == pytest.approx(0.1)
    boundaries = spending_boundaries(looks)
    assert (np.diff(boundaries[5:]) < 0.0).all()
    assert 2.0 < boundaries[-1] < 2.3


@pytest.mark.parametrize("fractions", [[], [0.0, 1.0], [0.5, 0.5], [0.5, 1.1], [[0.5, 1.0]]])
def test_bad_fractions_are_named(fractions: list[float]) -> None:
    """They must rise to at most 1."""
    with pytest.raises(DataError, match="fractions="):
        spending_boundaries(fractions)


def test_bad_function_is_named() -> None:
    """There are two."""
    with pytest.raises(DataError, match="spending='linear'"):
        spent_alpha([1.0], spending="linear")
