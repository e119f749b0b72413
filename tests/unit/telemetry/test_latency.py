"""Quantiles within the stated error of the exact ones, in bounded memory."""

from __future__ import annotations

import json
import math
import sys

import numpy as np
import pytest

from trader.telemetry.latency import LatencyRecorder

RELATIVE_ERROR = 1 / 256
QUANTILES = (0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0)


def _recorded(values: np.ndarray) -> LatencyRecorder:
    recorder = LatencyRecorder()
    recorder.record_many(values)
    return recorder


@pytest.mark.parametrize("sigma", [0.3, 1.0, 3.0])
def test_quantiles_against_numpy(sigma: float) -> None:
    """On a million heavy-tailed latencies every quantile is within 1/256 of numpy's order statistic."""
    values = np.random.default_rng(5).lognormal(13, sigma, 1_000_000).astype(np.int64)
    recorder = _recorded(values)
    exact = np.quantile(values, QUANTILES, method="inverted_cdf")
    np.testing.assert_allclose([recorder.quantile(q) for q in QUANTILES], exact, rtol=RELATIVE_ERROR)
    assert (recorder.p50, recorder.p99, recorder.p999) == tuple(recorder.quantile(q) for q in (0.5, 0.99, 0.999))


def test_small_values_are_exact() -> None:
    """Below 256 ns there is no error at all."""
    values = np.random.default_rng(5).integers(0, 256, 999)
    recorder = _recorded(values)
    for q in np.linspace(0, 1, 101):
        assert recorder.quantile(q) == np.quantile(values, q, method="inverted_cdf")


def test_extremes_mean_and_count_are_exact() -> None:
    """Count, mean and extremes do not come from buckets."""
    values = np.array([3, 2**40 + 7, 1_234_567, 2**62 + 1], np.int64)
    recorder = _recorded(values)
    assert (recorder.count, recorder.min, recorder.max) == (4, 3, 2**62 + 1)
    assert recorder.mean == sum(values.tolist()) / 4


def test_empty_recorder() -> None:
    """Without a record there is no quantile and no mean."""
    recorder = LatencyRecorder()
    assert recorder.count == recorder.min == recorder.max == 0
    assert math.isnan(recorder.p99)
    assert math.isnan(recorder.mean)
    recorder.record_many([])
    assert recorder.count == 0


def test_negative_durations_count_as_zero() -> None:
    """A wall clock that was set back does not break the record."""
    recorder = LatencyRecorder()
    recorder.record(-5)
    recorder.record_many([-7, 3])
    assert (recorder.count, recorder.min, recorder.quantile(0.5)) == (3, 0, 0.0)


def test_one_duration_many_times() -> None:
    """Counts as often as it occurred."""
    once, many = LatencyRecorder(), LatencyRecorder()
    many.record(1_000, times=3)
    many.record(70)
    once.record_many([1_000, 1_000, 1_000, 70])
    assert many.state() == once.state()


def test_quantile_outside_the_unit_interval() -> None:
    """A percentage given for a fraction is named."""
    with pytest.raises(ValueError, match="q=99; a fraction"):
        LatencyRecorder().quantile(99)


def test_memory_is_bounded() -> None:
    """The counters do not grow with what is recorded."""
    recorder = LatencyRecorder()
    before = recorder._counts.nbytes
    recorder.record_many(np.random.default_rng(1).integers(0, 2**63 - 1, 100_000))
    assert recorder._counts.nbytes == before < 60_000
    assert sys.getsizeof(recorder) < 1000


def test_buckets_hold_what_they_say() -> None:
    """Counting the values between a bucket's bounds gives its count."""
    values = np.random.default_rng(2).lognormal(10, 2, 10_000).astype(np.int64)
    low, high, counts = _recorded(values).buckets()
    assert (low[1:] > high[:-1]).all()
    expected = [((values >= a) & (values <= b)).sum() for a, b in zip(low, high, strict=True)]
    assert counts.tolist() == expected
    assert counts.sum() == values.size


def test_state_travels_as_json() -> None:
    """A recorder rebuilt from its JSON state answers the same."""
    recorder = _recorded(np.random.default_rng(3).integers(0, 10**9, 1000))
    again = LatencyRecorder.from_state(json.loads(json.dumps(recorder.state())))
    assert [again.quantile(q) for q in QUANTILES] == [recorder.quantile(q) for q in QUANTILES]
    assert (again.count, again.mean, again.min, again.max) == (
        recorder.count,
        recorder.mean,
        recorder.min,
        recorder.max,
    )
