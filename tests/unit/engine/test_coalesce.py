"""Outputs without bars are held back for a bounded time, and nothing of them is lost."""

from __future__ import annotations

import numpy as np

from trader.core.market import BarBatch, BarPanel
from trader.engine.coalesce import Coalescer
from trader.engine.shard import ShardOutput

PANEL = BarPanel.from_bars(BarBatch.empty(), 1)


def _output(seq: int, n_bars: int = 0) -> ShardOutput:
    return ShardOutput(seq, seq, 10 + seq, n_bars, 1, PANEL, np.empty((0, 1, 1)), np.empty((1, 1)))


def _sent(output: ShardOutput | None) -> tuple[int, int, int, int] | None:
    return None if output is None else (output.first_seq, output.seq, output.n_ticks, output.n_late)


def test_silence_is_held_for_its_time() -> None:
    """The first leaves at once; later ones are joined until the time since the last message has passed."""
    now = 0
    spare = Coalescer(100, lambda: now)
    assert _sent(spare.add(_output(0))) == (0, 0, 10, 1)
    for now in (1, 50, 99):
        assert spare.add(_output(now)) is None
    now = 100
    assert _sent(spare.add(_output(100))) == (1, 100, 4 * 10 + 1 + 50 + 99 + 100, 4)
    now = 300
    assert _sent(spare.add(_output(300))) == (300, 300, 310, 1), "after a pause nothing is held back"


def test_bars_leave_at_once() -> None:
    """They take along what was held, and begin a new time of silence."""
    now = 0
    spare = Coalescer(100, lambda: now)
    spare.add(_output(0))
    now = 90
    assert spare.add(_output(1)) is None
    assert _sent(spare.add(_output(2, n_bars=3))) == (1, 2, 23, 2)
    now = 180
    assert spare.add(_output(3)) is None


def test_flush_returns_what_is_held_once() -> None:
    """And counts as a message."""
    now = 0
    spare = Coalescer(100, lambda: now)
    spare.add(_output(0))
    spare.add(_output(1))
    now = 90
    assert _sent(spare.flush()) == (1, 1, 11, 1)
    assert spare.flush() is None
    now = 120
    assert spare.add(_output(2)) is None
