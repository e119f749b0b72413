from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from trader.core.market import BAR_FIELDS, BarBatch, QuoteBatch, TradeBatch
from trader.data.boundary import REASONS, validate, validate_bars, validate_quotes, validate_trades

NAN, INF = float("nan"), float("inf")


def trades(n: int = 5, **changes: list[float]) -> TradeBatch:
    stamps = np.arange(1, n + 1)
    base = {"ts_event_ns": stamps, "ts_recv_ns": stamps, "symbol_id": np.zeros(n), "price": np.full(n, 10.0)}
    return TradeBatch(**(base | {"size": np.ones(n), "side": np.zeros(n)} | changes))


def bars(n: int = 5, **changes: list[float]) -> BarBatch:
    stamps = np.arange(1, n + 1) * 10
    values = {"open": 10.0, "high": 12.0, "low": 9.0, "close": 11.0, "vwap": 10.5, "volume": 5.0}
    fields = {name: np.full(n, values.get(name, NAN)) for name in BAR_FIELDS}
    base = {"ts_open_ns": stamps - 9, "ts_ns": stamps, "symbol_id": np.zeros(n), "n_trades": np.ones(n)}
    return BarBatch(**(base | fields | changes))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"price": [10, NAN, 10, 10, 10]}, "price_not_finite"),
        ({"price": [10, INF, 10, 10, 10]}, "price_not_finite"),
        ({"price": [10, 0, 10, 10, 10]}, "price_not_positive"),
        ({"price": [10, -3, 10, 10, 10]}, "price_not_positive"),
        ({"size": [1, NAN, 1, 1, 1]}, "size_not_finite"),
        ({"size": [1, -1, 1, 1, 1]}, "size_negative"),
        ({"ts_event_ns": [1, 9, 3, 4, 5]}, "time_travel"),
        ({"ts_event_ns": [1, 0, 3, 4, 5], "ts_recv_ns": [1, 0, 3, 4, 5]}, "out_of_order"),
    ],
)
def test_a_bad_trade_is_refused_with_its_reason(changes: dict[str, list[float]], reason: str) -> None:
    """Exactly the second trade goes, under its reason; the others stay in order."""
    given = trades(**changes)
    clean, counts = validate_trades(given)
    assert counts == {reason: 1}
    assert clean == given.take(np.array([0, 2, 3, 4]))


def test_good_trades_pass_untouched() -> None:
    """A batch without fault is handed back itself; a size of zero and a late event are no faults."""
    given = trades(size=[0, 1, 1, 1, 1], ts_event_ns=[1, 1, 0, 4, 5])
    clean, counts = validate_trades(given)
    assert clean is given
    assert counts == {}


def test_a_row_with_two_faults_counts_once() -> None:
    """The first reason in the order of REASONS is the one that counts."""
    _, counts = validate_trades(trades(price=[-1, 10, 10, 10, 10], size=[-1, 1, 1, 1, 1]))
    assert counts == {"price_not_positive": 1}


def test_a_refused_row_does_not_condemn_those_after_it() -> None:
    """A bad price with an absurd future stamp leaves the clock where it was."""
    _, counts = validate_trades(trades(price=[10, NAN, 10, 10, 10], ts_recv_ns=[1, 10**9, 3, 4, 5]))
    assert counts == {"price_not_finite": 1}


def test_quotes() -> None:
    """Crossed and one-sided quotes are refused, a locked market is not."""
    quotes = QuoteBatch(
        ts_event_ns=[1, 2, 3, 4, 5],
        ts_recv_ns=[1, 2, 3, 4, 5],
        symbol_id=[0] * 5,
        bid=[10, 10, 10.1, 0, 10],
        ask=[10.1, 10, 10, 10, 10.1],
        bid_size=[1, 1, 1, 1, -1],
        ask_size=[1] * 5,
    )
    clean, counts = validate_quotes(quotes)
    assert clean.ts_event_ns.tolist() == [1, 2]
    assert counts == {"crossed_quote": 1, "price_not_positive": 1, "size_negative": 1}


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("close", NAN, "price_not_finite"),
        ("high", INF, "price_not_finite"),
        ("open", -1.0, "price_not_positive"),
        ("volume", -1.0, "size_negative"),
        ("volume", INF, "size_not_finite"),
        ("high", 10.9, "inconsistent_bar"),
        ("low", 10.1, "inconsistent_bar"),
        ("vwap", 12.1, "inconsistent_bar"),
        ("buy_volume", 5.1, "inconsistent_bar"),
        ("ts_open_ns", 21, "time_travel"),
    ],
)
def test_a_bad_bar_is_refused_with_its_reason(field: str, value: float, reason: str) -> None:
    """Exactly the second bar goes, under its reason."""
    given = bars()
    column = np.array(getattr(given, field))
    column[1] = value
    clean, counts = validate_bars(dataclasses.replace(given, **{field: column}))
    assert counts == {reason: 1}
    assert clean.ts_ns.tolist() == [10, 30, 40, 50]


def test_a_bar_may_lack_everything_but_its_close() -> None:
    """NaN in any other field is an absent field, not a fault."""
    given = bars(**{name: [NAN] * 5 for name in BAR_FIELDS if name != "close"})
    assert validate_bars(given) == (given, {})


def test_bars_that_go_back_are_refused() -> None:
    """A bar that closes before an earlier one is out of order; equal stamps are not."""
    clean, counts = validate_bars(bars(ts_ns=[10, 30, 30, 20, 50], ts_open_ns=[1] * 5))
    assert clean.ts_ns.tolist() == [10, 30, 30, 50]
    assert counts == {"out_of_order": 1}


def test_dispatch_and_empty_batches() -> None:
    """`validate` finds the right validator; nothing in gives nothing out."""
    assert validate(bars(low=[11] * 5))[1] == {"inconsistent_bar": 5}
    assert validate(trades(price=[0] * 5))[1] == {"price_not_positive": 5}
    for kind in (TradeBatch, QuoteBatch, BarBatch):
        assert validate(kind.empty()) == (kind.empty(), {})
    assert len(set(REASONS)) == len(REASONS)
