"""The streaming accumulator against numpy and against what AR(1) is known to have."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest

from trader.core.errors import DataError
from trader.validation.experiments import StreamingMoments


def _filled(values: np.ndarray) -> StreamingMoments:
    moments = StreamingMoments()
    moments.add(values)
    return moments


def test_mean_and_variance_are_numpys() -> None:
    """Also where the mean is a billion times the deviation."""
    values = np.random.default_rng(0).normal(size=1237) + 1e9
    moments = _filled(values)
    assert moments.n == 1237
    assert moments.mean == pytest.approx(values.mean(), rel=1e-15)
    assert moments.variance == pytest.approx(values.var(ddof=1), rel=1e-9)


def test_batches_equal_single_values_to_the_bit(autoregression: Callable[..., np.ndarray]) -> None:
    """The state after one batch, after uneven ones and after single values is the same JSON."""
    values = autoregression(1, 700, seed=4)[0]
    at_once, uneven, single = _filled(values), StreamingMoments(), StreamingMoments()
    for part in np.split(values, [0, 1, 8, 9, 300, 555]):
        uneven.add(part)
    for value in values:
        single.add([value])
    assert json.dumps(at_once.state()) == json.dumps(uneven.state()) == json.dumps(single.state())


def test_restored_from_json_it_goes_on_as_before() -> None:
    """Nothing is lost on the way through text."""
    values = np.random.default_rng(1).normal(size=333)
    first = _filled(values[:150])
    second = StreamingMoments.restore(json.loads(json.dumps(first.state())))
    first.add(values[150:])
    second.add(values[150:])
    assert first.state() == second.state()
    assert second.long_run_variance == first.long_run_variance


def test_batch_means_by_hand() -> None:
    """At 64 values: blocks of 8 and of 4, extrapolated."""
    values = np.random.default_rng(2).normal(size=64).cumsum()
    double, short = (
        values.reshape(-1, 8).mean(axis=1).var(ddof=1) * 8,
        values.reshape(-1, 4).mean(axis=1).var(ddof=1) * 4,
    )
    assert _filled(values).long_run_variance == pytest.approx(max(2 * double - short, double))


@pytest.mark.parametrize("phi", [0.0, 0.6, 0.9])
def test_long_run_variance_follows_the_dependence(autoregression: Callable[..., np.ndarray], phi: float) -> None:
    """Within 15 % of (1 + phi) / (1 - phi), on the average of 60 series of 4,096."""
    found = [_filled(row).long_run_variance for row in autoregression(60, 4096, phi, seed=5, degrees=6.0)]
    assert np.mean(found) * (1 - phi) / (1 + phi) == pytest.approx(1.0, abs=0.15)


def test_state_grows_by_a_row_when_the_stream_doubles() -> None:
    """Twenty rows for a million observations."""
    assert len(_filled(np.zeros(1_000_000)).state()["levels"]) == 20


def test_before_there_is_enough() -> None:
    """Undefined moments are NaN."""
    empty = StreamingMoments()
    empty.add([])
    assert math.isnan(empty.mean)
    assert math.isnan(_filled(np.ones(1)).variance)
    assert math.isnan(_filled(np.arange(63.0)).long_run_variance)
    assert _filled(np.full(100, 0.1)).long_run_variance == 0.0


def test_foreign_state_is_refused() -> None:
    """The message says which keys came."""
    with pytest.raises(DataError, match=r"state with keys \['count'\]"):
        StreamingMoments.restore({"count": 3})
