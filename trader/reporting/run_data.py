"""A run as the report reads it back from the store, and the curves that follow from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trader.core.orders import FillBatch
from trader.data.datasets import Benchmark
from trader.portfolio.benchmarks import buy_and_hold, index_equity
from trader.portfolio.drawdown import drawdown_series
from trader.portfolio.returns import period_returns
from trader.portfolio.trading import exposure
from trader.storage import DecisionTable, EventRecord, RunRecord, Store

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["EQUAL_WEIGHT", "Curves", "RunData", "curves_of", "entry_cost_rate", "read_run", "setting"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

EQUAL_WEIGHT = "equal-weight buy-and-hold"
"""Name of the benchmark that every run has."""


@dataclasses.dataclass(frozen=True, slots=True)
class RunData:
    """All that the store holds of a run; tables are as they go to the run's files."""

    record: RunRecord
    decisions: DecisionTable
    fills: FillBatch
    fill_seq: IntArray
    """Decision whose slice executed each fill, shape (n_fills,)."""
    fills_table: pa.Table
    orders_table: pa.Table
    signals_table: pa.Table
    cash_table: pa.Table
    events: tuple[EventRecord, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Curves:
    """Series of a run, one value an instant.

    Parameters
    ----------
    ts_ns : ndarray of shape (n_instants,)
    equity, cash : ndarray of shape (n_instants,)
        In currency.
    gross, net, drawdown : ndarray of shape (n_instants,)
        Fractions of equity, and of the highest equity so far.
    traded : ndarray of shape (n_instants,)
        Value of the fills executed in the slice of each instant, in currency.
    returns : ndarray of shape (at most n_instants - 1,)
        Of equity; they end with ruin.
    benchmarks : mapping of str to ndarray of shape (n_instants,)
        Equity of each benchmark that starts with the same capital.
    """

    ts_ns: IntArray
    equity: FloatArray
    cash: FloatArray
    gross: FloatArray
    net: FloatArray
    drawdown: FloatArray
    traded: FloatArray
    returns: FloatArray
    benchmarks: Mapping[str, FloatArray]


def read_run(store: Store, run_id: str) -> RunData:
    """Return a run; an unknown one raises NotFoundError."""
    fills_table = store.fills(run_id)
    return RunData(
        record=store.run(run_id),
        decisions=store.decisions(run_id),
        fills=store.fill_batch(run_id),
        fill_seq=fills_table["seq"].to_numpy(),
        fills_table=fills_table,
        orders_table=store.orders(run_id),
        signals_table=store.signals(run_id),
        cash_table=store.cash_movements(run_id),
        events=tuple(store.events(run_id)),
    )


def setting(record: RunRecord, section: str, field: str, default: Any) -> Any:
    """Return a setting the run was made with, `default` where the record does not hold it."""
    value = record.settings.get(section, {}).get(field)
    return default if value is None else value


def entry_cost_rate(record: RunRecord) -> float:
    """Return what buying costs per value, half-spread and commission, as the run's paper broker assumes."""
    half_spread = float(setting(record, "execution", "half_spread_bps", 0.0))
    commission = float(setting(record, "execution", "commission_bps", 0.0))
    return (half_spread + commission) * 1e-4


def curves_of(data: RunData, benchmark: Benchmark | None) -> Curves:
    """Return the curves of a run that made at least one decision.

    A benchmark that does not cover the run is left out.
    """
    table = data.decisions
    gross, net = exposure(table.positions, table.prices, table.equity)
    traded = np.zeros(len(table))
    np.add.at(traded, np.searchsorted(table.seq, data.fill_seq), data.fills.quantity * data.fills.price)
    capital = float(table.equity[0])
    benchmarks = {EQUAL_WEIGHT: buy_and_hold(table.prices, capital, cost_rate=entry_cost_rate(data.record))}
    if benchmark is not None:
        index = index_equity(benchmark, table.ts_ns, capital)
        if index is not None:
            benchmarks[benchmark.name] = index
    return Curves(
        ts_ns=table.ts_ns,
        equity=table.equity,
        cash=table.cash,
        gross=gross,
        net=net,
        drawdown=drawdown_series(table.equity),
        traded=traded,
        returns=period_returns(table.equity),
        benchmarks=benchmarks,
    )
