"""Clocks do not go back; every error knows its exit code."""

from __future__ import annotations

import time

import pytest

from trader.core import errors
from trader.core.clock import ManualClock, SystemClock
from trader.core.events import OrderDenied, trace_id_of
from trader.core.orders import DenialReason


def test_manual_clock_refuses_to_go_back() -> None:
    """Time travel is a bug of the caller."""
    clock = ManualClock(10)
    with pytest.raises(ValueError, match="now_ns=9 is before 10"):
        clock.set(9)


def test_system_clock_tells_the_machine_time() -> None:
    """It lies between two readings of the machine's own."""
    before = time.time_ns()
    assert before <= SystemClock().now_ns() <= time.time_ns()


def test_exit_codes() -> None:
    """User errors are bad usage, failed work is a failure."""
    codes = {getattr(errors, name).__name__: getattr(errors, name).exit_code for name in errors.__all__}
    assert {name for name, code in codes.items() if code == 2} == {
        "UserError",
        "SettingsError",
        "DataError",
        "NotFoundError",
    }
    assert codes["OperationError"] == codes["StoreError"] == 1


def test_trace_ids_are_functions_of_run_and_decision() -> None:
    """Different decisions and runs have different traces; a repeat has the same."""
    ids = {trace_id_of(run, seq) for run in ("a", "b") for seq in range(100)}
    assert len(ids) == 200
    assert trace_id_of("a", 5) in ids


def test_event_payload_holds_its_own_fields_only() -> None:
    """What all events have is kept in columns, not in the payload."""
    event = OrderDenied(
        run_id="r", trace_id="t", ts_ns=1, order_id="O", symbol="S", reason=DenialReason.HALTED, value=1, limit=0
    )
    assert set(event.payload()) == {"order_id", "symbol", "reason", "value", "limit"}
