"""Guardrails: quick where a variant is ill, still where it is only unlucky."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from serve.guardrail import Guardrails, Tally, surely_above

LIMITS = Guardrails(error_rate=0.02, latency_s=0.5)


@given(st.integers(3, 400), st.integers(0, 400), st.floats(0.001, 0.5))
def test_the_bound_is_wilson_s(cases: int, others: int, limit: float) -> None:
    """The lower end of the interval is SciPy's."""
    low = binomtest(cases, cases + others).proportion_ci(confidence_level=1 - 2 * 0.0005, method="wilson").low
    if abs(low - limit) > 1e-4:
        assert surely_above(cases, cases + others, limit) == (low > limit)


def first_breach(tally: Tally, outcomes: list[tuple[float, float, bool]]) -> tuple[float, str] | None:
    """Return when a guardrail broke, and which, for requests (end, seconds, failed)."""
    for now_s, seconds, failed in outcomes:
        tally.add(now_s, seconds, failed=failed)
        if (breach := tally.breach(now_s)) is not None:
            return now_s, breach.limit
    return None


@pytest.mark.parametrize("rate", [2.0, 50.0, 2000.0])
@pytest.mark.parametrize(("seconds", "failed", "limit"), [(0.01, True, "error_rate"), (0.9, False, "latency_s")])
def test_what_is_ill_is_found_within_ten_seconds(rate: float, seconds: float, failed: bool, limit: str) -> None:
    """From the first bad request on, at two requests a second as at two thousand, after a minute of good ones."""
    good = [(n / rate, 0.01, False) for n in range(int(60 * rate))]
    bad = [(60 + n / rate, seconds, failed) for n in range(int(20 * rate))]
    found = first_breach(Tally(LIMITS), good + bad)
    assert found is not None
    assert found[1] == limit
    assert 60 + 6 <= found[0] <= 60 + 10


def test_a_replica_that_is_replaced_costs_nothing() -> None:
    """Three seconds without an answer, at low and at high rates, are no breach."""
    for rate in (5.0, 200.0):
        outcomes = [(t, 0.01, 30 <= t < 33) for t in np.arange(0, 90, 1 / rate).tolist()]
        assert first_breach(Tally(LIMITS), outcomes) is None


def test_bad_luck_is_no_breach() -> None:
    """At half the limit of errors, looked at after each of 100,000 requests, seed by seed."""
    for seed in range(5):
        failed = np.random.default_rng(seed).random(100_000) < LIMITS.error_rate / 2
        outcomes = [(n / 50, 0.01, bool(bad)) for n, bad in enumerate(failed)]
        assert first_breach(Tally(LIMITS), outcomes) is None


def test_what_is_long_past_is_forgotten() -> None:
    tally = Tally(LIMITS)
    for n in range(100):
        tally.add(n / 10, 0.01, failed=True)
    tally.add(100.0, 0.01, failed=False)
    assert tally.to_dict() == {"requests": 1, "failed": 0, "slow": 0}
