from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from trader.core.market import TradeBatch
from trader.data.boundary import validate_trades
from trader.data.simulation.ticks import simulate_trades, trade_chunks


@pytest.mark.parametrize("chunk_rows", [1_000, 70_001, 10**6])
def test_chunks_do_not_change_the_trades(chunk_rows: int) -> None:
    """However they are cut, and however many are asked for, the seed's trades are the same."""
    whole = simulate_trades(300_000, 8, seed=5)
    chunks = list(trade_chunks(300_000, 8, 5, chunk_rows=chunk_rows))
    assert max(len(chunk) for chunk in chunks) <= chunk_rows
    assert TradeBatch.concat(chunks) == whole
    assert simulate_trades(270_000, 8, seed=5) == whole.take(slice(270_000))


def test_trades_can_be_true() -> None:
    """All pass the boundary; times increase over chunks; sides and symbols are even; prices are in cents."""
    trades = simulate_trades(400_000, 16, seed=2)
    assert validate_trades(trades) == (trades, {})
    assert (np.diff(trades.ts_event_ns) >= 0).all()
    counts = np.bincount(trades.symbol_id, minlength=16)
    assert counts == pytest.approx(np.full(16, 25_000), rel=0.05)
    assert abs(trades.side.mean()) < 0.01
    assert np.allclose(trades.price * 100, np.round(trades.price * 100))


def test_the_rate_is_as_asked() -> None:
    """A million a minute are a million a minute."""
    trades = simulate_trades(200_000, 4, seed=2, trades_per_second=1e6 / 60)
    span = (trades.ts_event_ns[-1] - trades.ts_event_ns[0]) / 1e9
    assert len(trades) / span == pytest.approx(1e6 / 60, rel=0.02)


def test_prices_continue_over_chunks() -> None:
    """No symbol jumps where one drawn block ends and the next begins."""
    trades = simulate_trades(600_000, 3, seed=9)
    for symbol in range(3):
        moves = np.abs(np.diff(np.log(trades.price[trades.symbol_id == symbol])))
        assert moves.max() < 0.002


def test_memory_stays_bounded() -> None:
    """Twice as many trades need no more memory at a time."""

    def peak(n: int) -> int:
        tracemalloc.start()
        for _ in trade_chunks(n, 8, 1, chunk_rows=10_000):
            pass
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    assert peak(1_500_000) < 1.1 * peak(750_000)


def test_impossible_sizes_are_refused() -> None:
    """The message shows the arguments."""
    with pytest.raises(ValueError, match="n_trades=5, n_symbols=0"):
        simulate_trades(5, 0, seed=1)
    assert len(simulate_trades(0, 3, seed=1)) == 0
