"""The store's records are plain frozen values, and its URLs are checked before anything is opened."""

from __future__ import annotations

import dataclasses

import pytest

from trader.core.errors import DataError, SettingsError
from trader.core.events import DataRejected
from trader.core.orders import format_order_id, order_ids
from trader.storage import RunRecord
from trader.storage.engine import parse_url
from trader.storage.rows import Extras, event_row
from trader.storage.tracing import parse_order_id


def test_run_record_is_frozen() -> None:
    """A record cannot be changed."""
    run = RunRecord(run_id="r", mode="run", created_ns=0, seed=1, symbols=("A",))
    with pytest.raises(dataclasses.FrozenInstanceError):
        run.seed = 2  # type: ignore[misc]


@pytest.mark.parametrize(("seq", "place"), [(0, 0), (3, 1), (123_456_789, 65_534)])
def test_order_ids_parse_back(seq: int, place: int) -> None:
    """Parsing is the inverse of formatting, also past the padded width."""
    number = int(order_ids(seq, place + 1)[place])
    assert parse_order_id(format_order_id(number)) == number


@pytest.mark.parametrize("text", ["", "O-3-1", "F-00000003-0001", "O-00000003-0001-02", "196609"])
def test_other_forms_are_refused(text: str) -> None:
    """Anything that is not an order id is named."""
    with pytest.raises(DataError, match="order_id="):
        parse_order_id(text)


def test_postgres_is_spelled_in_three_ways() -> None:
    """The short names of PostgreSQL mean its psycopg driver."""
    for scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        assert parse_url(f"{scheme}://u@h/d").drivername == "postgresql+psycopg"


def test_other_databases_are_refused() -> None:
    """Another database is named together with those allowed."""
    with pytest.raises(SettingsError, match=r"'mysql'; sqlite:///"):
        parse_url("mysql://u@h/d")


def test_events_are_told_apart_by_all_their_fields() -> None:
    """Equal events have one digest; any other field gives another."""
    event = DataRejected(run_id="r", trace_id="t", ts_ns=1, source="s", reason="nan", count=1)
    digests = {event_row(dataclasses.replace(event, **change))[1] for change in ({}, {})}
    assert len(digests) == 1
    for change in ({"trace_id": "u"}, {"ts_ns": 2}, {"source": "x"}, {"reason": "gap"}, {"count": 2}):
        digests.add(event_row(dataclasses.replace(event, **change))[1])
    assert len(digests) == 6


def test_extras_must_match() -> None:
    """A list that does not have one item a decision is refused by name."""
    Extras(["a"], latency_ns=[None]).check(1)
    with pytest.raises(DataError, match="feed_seq has 2 items; 1 are needed"):
        Extras(["a"], feed_seq=[1, 2]).check(1)
