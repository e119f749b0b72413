"""The model of a clock against simulated ones whose offset and drift are known."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from trader.data.live.clock_model import ClockModel

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


@dataclasses.dataclass(frozen=True)
class Clock:
    """Theirs is ours plus `offset_ms`, and `drift_ppm` a second more."""

    offset_ms: float
    drift_ppm: float

    def ahead_ns(self, ours_ns: np.ndarray) -> np.ndarray:
        return self.offset_ms * 1e6 + self.drift_ppm * 1e-6 * (ours_ns - START)


def delays_ns(rng: np.random.Generator, n: int) -> np.ndarray:
    """5 ms at least, and a Pareto tail without variance: one in a thousand takes more than half a second."""
    return (5e6 + 3e6 * rng.pareto(1.3, n)).astype(np.int64)


def feed(model: ClockModel, clock: Clock, seconds: int, seed: int, *, probes: bool, stamps: bool, start_s: int = 0):
    """Fifty messages a second in batches, and a question every ten seconds, answered in whole milliseconds."""
    rng = np.random.default_rng(seed)
    for second in range(start_s, start_s + seconds):
        now = START + second * SECOND
        if stamps:
            sent = now + np.sort(rng.integers(0, SECOND, 50))
            received = np.sort(sent + delays_ns(rng, 50))
            model.add_stamps(sent + clock.ahead_ns(sent).astype(np.int64), received)
        if probes and second % 10 == 0:
            out, back = delays_ns(rng, 2).tolist()
            theirs = now + out + int(clock.ahead_ns(np.array(now + out)))
            model.add_probe(now + (out + back) // 2, theirs // 1_000_000 * 1_000_000, out + back)
    return START + (start_s + seconds) * SECOND


CLOCKS = [Clock(120.0, 40.0), Clock(-75.0, -25.0), Clock(3.0, 0.0)]


@pytest.mark.parametrize("clock", CLOCKS, ids=str)
def test_messages_and_questions(clock: Clock) -> None:
    """After twenty minutes: drift to 0.1 ppm, offset to 1 ms, both inside their intervals, and no step imagined."""
    model = ClockModel()
    now = feed(model, clock, 1200, 1, probes=True, stamps=True)
    found, truth = model.estimate(now), float(clock.ahead_ns(np.array(now)))
    assert found.drift_ppm == pytest.approx(clock.drift_ppm, abs=0.1)
    assert found.offset_ns == pytest.approx(truth, abs=1e6)
    assert found.low_ns <= truth <= found.high_ns
    assert found.drift_low_ppm <= clock.drift_ppm <= found.drift_high_ppm
    assert found.drift_high_ppm - found.drift_low_ppm < 0.2
    assert model.steps == 0


@pytest.mark.parametrize("probes", [True, False])
def test_intervals_hold_the_truth(probes: bool) -> None:
    """In 20 simulations of five minutes; the drift's interval is one of 99 %."""
    clock, offsets, drifts = Clock(50.0, 30.0), 0, 0
    for seed in range(20):
        model = ClockModel()
        now = feed(model, clock, 300, seed, probes=probes, stamps=True)
        found, truth = model.estimate(now), float(clock.ahead_ns(np.array(now)))
        offsets += found.low_ns <= truth <= found.high_ns
        drifts += found.drift_low_ppm <= clock.drift_ppm <= found.drift_high_ppm
    assert offsets == 20
    assert drifts >= 19


def test_messages_alone_bound_a_clock_that_is_ahead() -> None:
    """Without questions the offset is short by the least delay, and nothing bounds it from above."""
    clock, model = Clock(80.0, 20.0), ClockModel()
    now = feed(model, clock, 600, 2, probes=False, stamps=True)
    found, truth = model.estimate(now), float(clock.ahead_ns(np.array(now)))
    assert truth - 6.5e6 < found.offset_ns < truth - 4.5e6
    assert found.high_ns == math.inf
    behind = ClockModel()
    now = feed(behind, Clock(-80.0, 0.0), 100, 2, probes=False, stamps=True)
    assert behind.estimate(now).offset_ns == 0.0


def test_questions_alone() -> None:
    """Drift and offset are known too, less closely."""
    clock, model = Clock(-20.0, 60.0), ClockModel()
    now = feed(model, clock, 640, 3, probes=True, stamps=False)
    found, truth = model.estimate(now), float(clock.ahead_ns(np.array(now)))
    assert found.low_ns <= truth <= found.high_ns
    assert found.high_ns - found.low_ns < 15e6
    assert found.drift_low_ppm <= 60.0 <= found.drift_high_ppm
    assert found.offset_ns == pytest.approx(truth, abs=4e6)


def test_a_clock_that_is_set() -> None:
    """A jump that no round trip explains forgets what was before; the offset is right again at once."""
    model = ClockModel()
    feed(model, Clock(10.0, 5.0), 300, 4, probes=True, stamps=True)
    now = feed(model, Clock(-900.0, 5.0), 21, 5, probes=True, stamps=False, start_s=300)
    assert model.steps == 1
    assert model.estimate(now).offset_ns == pytest.approx(-900e6, abs=60e6)


def test_correction_of_events() -> None:
    """Corrected events are true to 2 ms in the median, come before their receipt, and the raw ones are left."""
    clock, model = Clock(300.0, 40.0), ClockModel()
    now = feed(model, clock, 600, 6, probes=True, stamps=True)
    rng = np.random.default_rng(7)
    sent = now + np.arange(0, SECOND, SECOND // 1000)
    received = np.maximum.accumulate(sent + delays_ns(rng, sent.size))
    raw = sent + clock.ahead_ns(sent).astype(np.int64)
    before = raw.copy()
    corrected = model.correct(raw, received)
    assert np.array_equal(raw, before)
    assert np.median(np.abs(corrected - sent)) < 2e6
    assert (corrected <= received).all()
    assert model.clipped == 0
    early = model.correct(received[:1] + 10 * SECOND, received[:1])
    assert (early.tolist(), model.clipped) == (received[:1].tolist(), 1)


def test_nothing_known() -> None:
    """A new model corrects nothing, and says that it knows nothing."""
    model = ClockModel()
    found = model.estimate(START)
    assert (found.offset_ns, found.low_ns, found.high_ns) == (0.0, -math.inf, math.inf)
    assert (found.drift_low_ppm, found.drift_high_ppm) == (-500.0, 500.0)
    none = np.empty(0, np.int64)
    model.add_stamps(none, none)
    assert model.correct(none, none).size == 0
    assert model.correct(np.array([5]), np.array([9])).tolist() == [5]


def test_memory_is_bounded() -> None:
    """The oldest windows and questions go first."""
    model = ClockModel(window_ns=10, n_windows=5, n_probes=3)
    ts = np.arange(1000)
    model.add_stamps(ts, ts + 7)
    for i in range(10):
        model.add_probe(1000 + i, 1000 + i, 20)
    assert (len(model._floor), min(model._floor), len(model._probes)) == (5, 96, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"window_ns": 0}, "window_ns=0; 1 or more"), ({"max_drift_ppm": 0.0}, "max_drift_ppm=0.0; a finite")],
)
def test_bad_arguments(options: dict, message: str) -> None:
    """Errors name the argument, the value and what is allowed."""
    with pytest.raises(ValueError, match=message):
        ClockModel(**options)
    with pytest.raises(ValueError, match="round_trip_ns=-1; 0 or more"):
        ClockModel().add_probe(0, 0, -1)
