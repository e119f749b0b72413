"""Contenders take turns, warm-up is not counted, and one that breaks down does not stop the others."""

from __future__ import annotations

import math
import time

import pytest

from benchmarks.sampling import Contender, ContenderError, Sample, absent, alternate, in_process


def _scripted(name: str, times: list[float], log: list[str]) -> Contender:
    remaining = iter(times)

    def repeat() -> Sample:
        log.append(name)
        return Sample(next(remaining), 1.0)

    return Contender(name, "ours", 100, repeat)


def test_order_is_reversed_every_other_round() -> None:
    """A drift of the machine meets both contenders alike."""
    log: list[str] = []
    alternate([_scripted("a", [1.0] * 3, log), _scripted("b", [1.0] * 3, log)], repeats=2)
    assert "".join(log) == "abbaab"


def test_warm_up_is_kept_but_not_counted() -> None:
    """The first repeat is reported on its own; the rate is that of the median of the others."""
    (outcome,) = alternate([_scripted("a", [60.0, 2.0, 9.0, 4.0], [])], repeats=3)
    assert outcome.warmup == Sample(60.0, 1.0)
    assert [sample.wall_s for sample in outcome.samples] == [2.0, 9.0, 4.0]
    assert outcome.rate == 25.0
    assert outcome.cpu_rate == 100.0


def test_a_contender_that_breaks_down_leaves_the_others_running() -> None:
    """Its row has the reason and no figures; those of the others are whole."""

    def fail() -> Sample:
        raise ContenderError("no licence")

    outcomes = alternate([Contender("broken", "peer", 1, fail), _scripted("a", [1.0] * 3, [])], repeats=2)
    assert outcomes[0].error == "no licence"
    assert math.isnan(outcomes[0].rate)
    assert len(outcomes[1].samples) == 2


def test_a_fault_of_the_benchmark_is_not_taken_for_a_broken_contender() -> None:
    """Only ContenderError is forgiven."""

    def fail() -> Sample:
        raise RuntimeError("7 of 8 ticks arrived")

    with pytest.raises(RuntimeError, match="7 of 8"):
        alternate([Contender("a", "ours", 1, fail)], repeats=1)


def test_absent_has_no_rate() -> None:
    """A contender that never took part is a row without figures."""
    outcome = absent("x", "peer", "cannot be installed")
    assert outcome.error == "cannot be installed"
    assert math.isnan(outcome.wall_s)


def test_in_process_leaves_the_preparation_out_and_tells_waiting_from_working() -> None:
    """Preparation is outside the time; sleep takes wall time and no processor time."""
    sample = in_process(lambda: time.sleep(0.2), prepare=lambda: time.sleep(2.0))()
    assert 0.2 <= sample.wall_s < 2.0
    assert sample.cpu_s < 0.15
