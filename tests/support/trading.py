"""Builders of market slices, panels, orders and fills for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trader.core.decision import Decision
from trader.core.market import BarPanel, MarketSlice
from trader.core.orders import FillBatch, OrderBatch, OrderKind, TimeInForce

DAY_NS = 86_400_000_000_000
SESSION_NS = 23_400_000_000_000
NS = 1_000_000_000


def slice_of(ts_ns: int, close: ArrayLike, **fields: ArrayLike) -> MarketSlice:
    """A slice; fields left out are unknown, and a bar opens at its close."""
    prices = np.asarray(close, np.float64)
    values = {name: np.full(prices.size, np.nan) for name in ("open", "high", "low", "volume", "spread")}
    values |= {name: np.asarray(value, np.float64) for name, value in fields.items() if name != "ts_open_ns"}
    opened = np.asarray(fields.get("ts_open_ns", np.full(prices.size, ts_ns)), np.int64)
    return MarketSlice(ts_ns=ts_ns, ts_open_ns=opened, close=prices, **values)


def panel_of(slices: Sequence[MarketSlice]) -> BarPanel:
    """The slices as a panel."""
    fields = {
        name: np.array([getattr(market, name) for market in slices])
        for name in ("ts_ns", "ts_open_ns", "open", "high", "low", "close", "volume", "spread")
    }
    unknown = np.full(fields["close"].shape, np.nan)
    return BarPanel(**fields, vwap=unknown, buy_volume=unknown)


def orders_of(*rows: Mapping[str, Any]) -> OrderBatch:
    """Orders from rows of fields; market, GTC, id by place, decided at 0 on a price of 100 where not said."""
    defaults: dict[str, Any] = {
        "symbol_id": 0,
        "side": 1,
        "quantity": 1.0,
        "kind": OrderKind.MARKET,
        "limit_price": np.nan,
        "time_in_force": TimeInForce.GTC,
        "ts_ns": 0,
        "reference_price": 100.0,
    }
    full = [{"order_id": place, **defaults, **row} for place, row in enumerate(rows)]
    return OrderBatch(**{name: np.array([row[name] for row in full]) for name in OrderBatch.DTYPES})


def fills_of(*rows: Mapping[str, Any]) -> FillBatch:
    """Fills from rows of fields; ids by place, no costs where not said."""
    defaults: dict[str, Any] = {
        "symbol_id": 0,
        "side": 1,
        "commission": 0.0,
        "spread_cost": 0.0,
        "impact_cost": 0.0,
        "ts_ns": 0,
    }
    full = [{"fill_id": place << 12, "order_id": place, **defaults, **row} for place, row in enumerate(rows)]
    return FillBatch(**{name: np.array([row[name] for row in full]) for name in FillBatch.DTYPES})


def random_panel(n_slices: int, n_symbols: int, seed: int, *, bars: bool, missing: float = 0.0) -> BarPanel:
    """Daily random walks: closes only, or whole bars with volume; a share of the bars is missing."""
    rng = np.random.default_rng(seed)
    shape = (n_slices, n_symbols)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, shape), axis=0))
    ts_ns = (np.arange(n_slices) + 1) * DAY_NS
    opened = np.repeat(ts_ns[:, None], n_symbols, axis=1)
    fields = {name: np.full(shape, np.nan) for name in ("open", "high", "low", "volume", "spread")}
    if bars:
        opened = opened - SESSION_NS
        fields["open"] = close * np.exp(rng.normal(0.0, 0.005, shape))
        fields["high"] = np.maximum(close, fields["open"]) * 1.003
        fields["low"] = np.minimum(close, fields["open"]) * 0.997
        fields["volume"] = rng.uniform(2e3, 2e4, shape)
        fields["spread"] = close * 3e-4
    gone = rng.random(shape) < missing
    opened[gone] = np.repeat(ts_ns[:, None], n_symbols, axis=1)[gone]
    for values in (close, *fields.values()):
        values[gone] = np.nan
    return BarPanel(
        ts_ns=ts_ns,
        ts_open_ns=opened,
        close=close,
        vwap=np.full(shape, np.nan),
        buy_volume=np.full(shape, np.nan),
        **fields,
    )


def comparable(decisions: Sequence[Decision]) -> list[tuple[Any, ...]]:
    """Decisions as plain values that are equal exactly when every bit of them is."""
    return [
        (
            d.seq,
            d.ts_ns,
            d.equity.hex(),
            d.cash.hex(),
            *(_bits(a) for a in (d.positions, d.prices, d.score, d.target)),
            *(_bits(column) for column in d.orders.columns().values()),
            *(_bits(column) for column in d.fills.columns().values()),
            d.denials,
            d.withdrawals,
            d.state_changes,
        )
        for d in decisions
    ]


def _bits(array: NDArray[Any]) -> bytes:
    return array.tobytes()
