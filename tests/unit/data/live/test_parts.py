"""Sequence numbers, waits, faults and clocks of live feeds."""

from __future__ import annotations

import random

import numpy as np
import pytest

from trader.core.errors import SettingsError
from trader.data.live.backoff import Backoff
from trader.data.live.clock import ClockOffset, SourceClock, measure_offset
from trader.data.live.reference.faults import Fault, FaultPlan, parse_fault
from trader.data.live.sequence import Sequence


def test_every_number_is_taken_once() -> None:
    """Shuffled, doubled and thinned numbers: taken are the different ones, lost those that never came."""
    rng = random.Random(5)  # noqa: S311 - no secret
    numbers = [n for n in range(300) if n == 0 or rng.random() > 0.1]
    came = [0] + [n + rng.choice((0, 0, 0.5, 7.2)) for n in numbers[1:]]
    order = [n for _, n in sorted(zip(came, numbers, strict=True))]
    order += rng.choices(numbers, k=40)
    sequence = Sequence()
    taken = [n for place, n in enumerate(order) if sequence.accept(n, place)]
    assert sorted(taken) == numbers
    assert sequence.duplicates == 40
    lost = [n for hole in sequence.settle(10**9) for n in range(hole.first, hole.last + 1)]
    assert lost == sorted(set(range(max(numbers) + 1)) - set(numbers))
    assert sequence.settle(10**9) == []


def test_holes_are_bounded() -> None:
    """Beyond 1,024 the oldest is given up, and still told."""
    sequence = Sequence()
    for place in range(1500):
        sequence.accept(2 * place, place)
    assert not sequence.accept(1, 9999)
    assert len(sequence.settle(10**9)) == 1499


def test_waits_grow_to_the_cap_and_begin_again() -> None:
    """Each wait is between half and all of what is due."""
    backoff = Backoff(0.25, 30.0, seed=1)
    waits = [backoff.next_s() for _ in range(200)]
    due = [min(30.0, 0.25 * 2.0**n) for n in range(200)]
    assert all(0.5 * d <= w <= d for w, d in zip(waits, due, strict=True))
    assert len(set(waits[10:])) == 190
    backoff.succeeded()
    assert backoff.next_s() <= 0.25
    with pytest.raises(ValueError, match="first_s=2"):
        Backoff(2.0, 1.0)


def test_faults_are_read() -> None:
    """Kind, value, times and place; other forms are refused."""
    assert parse_fault("refuse:418x3") == Fault("refuse", 418.0, 3, 0)
    assert parse_fault("skew:-2.5@40") == Fault("skew", -2.5, 1, 40)
    assert parse_fault("close") == Fault("close", 1006.0)
    for wrong in ("explode", "close:1234", "mute@", "", "skip:x"):
        with pytest.raises(SettingsError, match="misbehave="):
            parse_fault(wrong)


def test_faults_come_once_and_in_their_place() -> None:
    """Those of connections are told, the others are kept by the plan."""
    plan = FaultPlan([parse_fault(text) for text in ("mute@2", "skip:2@1", "duplicate@1", "skew:3@2", "refuse:418x2")])
    assert plan.due(0) == []
    assert [plan.refusal() for _ in range(3)] == [418, 418, None]
    assert plan.due(1) == []
    assert [plan.copies() for _ in range(4)] == [0, 0, 2, 1]
    assert plan.due(5) == [Fault("mute", after=2)]
    assert plan.skew_s == 3.0
    assert plan.due(9) == []


def test_clocks_are_compared_by_the_median() -> None:
    """One slow answer of five does not move the offset."""
    now = [0.0]
    slow = iter([0.01, 0.01, 2.0, 0.01, 0.01])

    def ask() -> float:
        trip = next(slow)
        now[0] += trip / 2
        theirs = 1e3 * (now[0] + 7.0)
        now[0] += trip / 2 * (9 if trip == 2.0 else 1)
        return theirs

    found = measure_offset(ask, 5, lambda: now[0])
    assert found.offset_ms == pytest.approx(7000.0)
    assert found.round_trip_ms == pytest.approx(10.0)


def test_a_clock_is_corrected_by_answers_and_stamps() -> None:
    """A clock 5 s ahead, and one 3 s behind, are set right by answers; small doubts move nothing; no row travels."""
    rng = np.random.default_rng(5)
    ms = 1_000_000
    for true_ms in (5000.0, -3000.0, 0.0):
        clock = SourceClock()
        now = 1_700_000_000_000 * ms
        for _ in range(5):
            trip = rng.uniform(2, 20)
            clock.add(ClockOffset(true_ms + rng.uniform(-0.5, 0.5) * trip, trip), now)
        shifts = []
        for batch in range(200):
            recv = now + batch * 50 * ms + np.arange(10) * ms
            delay = (1 + rng.exponential(5, 10)) * ms
            event = recv - delay.astype(np.int64) + round(true_ms * ms)
            shift = clock.update(event, recv)
            assert (event - shift <= recv).all()
            shifts.append(shift / ms)
        assert shifts[-1] == pytest.approx(true_ms, abs=2.0)
        assert len(set(shifts)) <= 3
