"""The error bound, and that recording in any way gives the same."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trader.telemetry.latency import LatencyRecorder

NS = st.integers(0, 2**63 - 1)
# Powers of two and their neighbours, where a wrong exponent would show.
EDGES = st.builds(lambda k, d: max(2**k + d, 0), st.integers(0, 62), st.integers(-1, 1))
VALUES = st.lists(NS | EDGES, min_size=1, max_size=50)


@given(VALUES, st.floats(0, 1))
def test_every_quantile_is_within_the_bound(values: list[int], q: float) -> None:
    """Whatever was recorded, a quantile is within 1/256 of the exact order statistic."""
    recorder = LatencyRecorder()
    recorder.record_many(values)
    exact = float(np.quantile(np.array(values, np.int64), q, method="inverted_cdf"))
    assert abs(recorder.quantile(q) - exact) <= exact / 256


@given(VALUES, VALUES)
def test_one_by_one_at_once_and_merged_agree(first: list[int], second: list[int]) -> None:
    """Recording one by one, as arrays, or in two recorders that are merged, is the same."""
    single, merged, other = LatencyRecorder(), LatencyRecorder(), LatencyRecorder()
    for value in first + second:
        single.record(value)
    merged.record_many(first)
    other.record_many(second)
    merged.merge(other)
    assert single.state() == merged.state()
