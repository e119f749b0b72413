"""The state of a running session as the live view, the log and `trader watch` see it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from trader.core.orders import TradingState

__all__ = ["PositionLine", "RunStatus"]


@dataclasses.dataclass(frozen=True, slots=True)
class PositionLine:
    """One holding: signed units, signed value in currency, and value as a fraction of equity."""

    symbol: str
    quantity: float
    value: float
    weight: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """A snapshot of a session, cheap to build and to send.

    Counts are totals since the start of the run. A figure that is not known yet is NaN, and is shown as a dash.

    Parameters
    ----------
    run_id, mode : str
        `mode` is what the user started: `run`, `backtest`, `live`.
    progress : float
        Share of the data that has been replayed, 0 to 1; NaN for a live feed, which has no end.
    ts_ns : int
        The run's clock: close stamp of the last slice, UTC nanoseconds; 0 before the first.
    equity, cash, pnl : float
        In currency; `pnl` is since the start of the run, after costs.
    pnl_pct : float
        `pnl` over the initial equity, as a fraction: 0.01 is one per cent.
    gross, net : float
        Exposure as fractions of equity.
    positions : tuple of PositionLine
        Largest absolute weight first; the view shows the top of it.
    ticks_total, bars_total, decisions : int
        What has gone through the loop.
    ticks_per_s : float
        Over the last seconds, by the wall clock.
    latency_p50_ms, latency_p99_ms : float
        From a slice's arrival to the end of its decision, milliseconds.
    orders_accepted, fills : int
        Orders the gate let through, and their executions.
    orders_denied : mapping of str to int
        Refused orders by reason.
    trading_state : TradingState
        What the gate lets through now.
    unpredicted : int
        Instants at which no model answered and positions were held.
    alerts : tuple of str
        What ails the run now and needs a person, a line each.
    restarts : int
        Parts that died and were brought back.
    message : str
        One line for people: what the run is doing or waiting for.
    """

    run_id: str
    mode: str = "run"
    progress: float = 0.0
    ts_ns: int = 0
    equity: float = float("nan")
    pnl: float = 0.0
    pnl_pct: float = 0.0
    cash: float = float("nan")
    gross: float = 0.0
    net: float = 0.0
    positions: tuple[PositionLine, ...] = ()
    ticks_total: int = 0
    ticks_per_s: float = 0.0
    bars_total: int = 0
    decisions: int = 0
    latency_p50_ms: float = float("nan")
    latency_p99_ms: float = float("nan")
    orders_accepted: int = 0
    orders_denied: Mapping[str, int] = dataclasses.field(default_factory=dict)
    fills: int = 0
    trading_state: TradingState = TradingState.ACTIVE
    unpredicted: int = 0
    alerts: tuple[str, ...] = ()
    restarts: int = 0
    message: str = ""

    @property
    def denied_total(self) -> int:
        """Refused orders of every reason."""
        return sum(self.orders_denied.values())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; positions become lists of dicts, NaN stays NaN."""
        return {**dataclasses.asdict(self), "trading_state": str(self.trading_state)}
