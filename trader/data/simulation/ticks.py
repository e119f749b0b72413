"""Simulated trades: the tick form of the market, for benchmarks and tests of aggregators."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from trader.core.market import TradeBatch
from trader.data.simulation.law import draw_symbols, generator

__all__ = ["simulate_trades", "trade_chunks"]

FloatArray = NDArray[np.float64]

_ROWS_PER_DRAW = 1 << 18
_FIRST_NS = 1_420_209_000_000_000_000  # 2015-01-02 09:30 New York
_WIRE_NS = 200_000
_TICK = 0.01


def trade_chunks(
    n_trades: int,
    n_symbols: int,
    seed: int,
    *,
    chunk_rows: int = _ROWS_PER_DRAW,
    trades_per_second: float = 1000.0,
) -> Iterator[TradeBatch]:
    """Yield trades in order of time, at most `chunk_rows` a batch; memory does not grow with `n_trades`.

    Gaps between trades are exponential, symbols equally likely. A symbol's mid follows a Gaussian random walk in log
    price and trades lie half a cent above (buyer) or below (seller) it, rounded to cents. Receipt is 0.2 ms after the
    event. The seed gives the same trades whatever `chunk_rows` is, and the first of a longer series.

    Parameters
    ----------
    n_trades, n_symbols : int
        Rows in all; symbols among them.
    seed : int
        Of everything random.
    chunk_rows : int
        Largest batch; batches may be smaller.
    trades_per_second : float
        Mean rate over all symbols.
    """
    if n_trades < 0 or n_symbols < 1 or chunk_rows < 1 or trades_per_second <= 0:
        raise ValueError(
            f"n_trades={n_trades}, n_symbols={n_symbols}, chunk_rows={chunk_rows}, "
            f"trades_per_second={trades_per_second}; all must be positive"
        )
    law = draw_symbols(n_symbols, generator(seed, 0))
    log_mid = np.log(law.first_price)
    # A day of 6.5 hours at this rate carries the symbol's daily variance.
    step = law.daily_volatility / np.sqrt(trades_per_second * 23_400 / n_symbols)
    now = _FIRST_NS
    for number, first in enumerate(range(0, n_trades, _ROWS_PER_DRAW)):
        batch, log_mid = _draw(generator(seed, 1, number), now, log_mid, step, 1e9 / trades_per_second)
        now = int(batch.ts_event_ns[-1])
        batch = batch.take(slice(0, n_trades - first))
        for start in range(0, len(batch), chunk_rows):
            yield batch.take(slice(start, start + chunk_rows))


def simulate_trades(n_trades: int, n_symbols: int, seed: int, *, trades_per_second: float = 1000.0) -> TradeBatch:
    """Return the trades of `trade_chunks` as one batch.

    >>> trades = simulate_trades(1000, 3, seed=1)
    >>> len(trades), trades == simulate_trades(2000, 3, seed=1).take(slice(1000))
    (1000, True)
    """
    return TradeBatch.concat(trade_chunks(n_trades, n_symbols, seed, trades_per_second=trades_per_second))


def _draw(
    rng: np.random.Generator,
    now: int,
    log_mid: FloatArray,
    step: FloatArray,
    mean_gap_ns: float,
) -> tuple[TradeBatch, FloatArray]:
    n, n_symbols = _ROWS_PER_DRAW, log_mid.size
    ts = now + 1 + np.cumsum(rng.exponential(mean_gap_ns, n).astype(np.int64))
    symbol_id = rng.integers(0, n_symbols, n, dtype=np.int16 if n_symbols < 32768 else np.int32)
    order = np.argsort(symbol_id, kind="stable")
    counts = np.bincount(symbol_id, minlength=n_symbols)
    owner = np.repeat(np.arange(n_symbols), counts)
    walk = np.cumsum(rng.standard_normal(n) * step[owner])
    # One running sum serves all symbols: each subtracts what had accumulated before its own first trade.
    ends = np.cumsum(counts)
    before = np.r_[0.0, walk][ends - counts]
    grouped = log_mid[owner] + walk - before[owner]
    after = np.where(counts > 0, grouped[np.maximum(ends - 1, 0)], log_mid)
    mid = np.empty(n)
    mid[order] = grouped
    side = (2 * rng.integers(0, 2, n, dtype=np.int8) - 1).astype(np.int8)
    price = np.maximum(np.round(np.exp(mid) / _TICK + 0.5 * side), 1.0) * _TICK
    size = np.ceil(rng.exponential(150.0, n))
    batch = TradeBatch(
        ts_event_ns=ts,
        ts_recv_ns=ts + _WIRE_NS,
        symbol_id=symbol_id.astype(np.int32),
        price=price,
        size=size,
        side=side,
    )
    return batch, after
