"""Trades from the parquet file of a benchmark as nautilus_trader's own objects."""

import pyarrow.parquet as pq
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider

__all__ = ["VENUE", "read_trades"]

VENUE = "XNAS"


def read_trades(path, n_trades):
    """Return instruments by symbol id, the first `n_trades` ticks in order of time, and their symbol ids.

    Ticks are made in the order in which they are used, so they lie in memory in that order too: ticks that are
    made symbol by symbol and then merged are slower to go through.
    """
    table = pq.read_table(path).slice(0, n_trades)
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    instruments = [
        TestInstrumentProvider.equity(symbol=f"S{n:03d}", venue=VENUE) for n in range(max(columns["symbol_id"]) + 1)
    ]
    sides = {1: AggressorSide.BUYER, -1: AggressorSide.SELLER}
    ticks = [
        TradeTick(instruments[symbol_id].id, Price(price, 2), Quantity(size, 0), sides[side], TradeId(str(row)), ts, ts)
        for row, (symbol_id, price, size, side, ts) in enumerate(
            zip(*(columns[name] for name in ("symbol_id", "price", "size", "side", "ts_event_ns")), strict=True)
        )
    ]
    return instruments, ticks, columns["symbol_id"]
