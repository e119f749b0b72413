"""Universe and panel."""

from __future__ import annotations

import numpy as np
import pytest

from trader.core.errors import DataError
from trader.core.market import BAR_FIELDS, BarBatch, BarPanel, Universe


def _bars() -> BarBatch:
    n = 3
    return BarBatch(
        ts_open_ns=[5, 5, 15],
        ts_ns=[10, 10, 20],
        symbol_id=[0, 2, 2],
        n_trades=np.zeros(n),
        **{name: np.arange(n) + 1.0 for name in BAR_FIELDS},
    )


def test_unknown_symbol_names_the_known_ones() -> None:
    """The error helps to find the typing mistake."""
    with pytest.raises(DataError, match="'MSF' is unknown; known are AAPL, MSFT"):
        Universe(("AAPL", "MSFT")).id_of("MSF")


@pytest.mark.parametrize("symbols", [("A", "A"), ("A", "")])
def test_bad_universe_is_refused(symbols: tuple[str, ...]) -> None:
    """Names are unique and not empty."""
    with pytest.raises(DataError):
        Universe(symbols)


def test_panel_has_a_row_per_close_and_nan_for_no_bar() -> None:
    """Two instants, three symbols, three bars: three finite closes."""
    panel = BarPanel.from_bars(_bars(), 3)
    assert panel.ts_ns.tolist() == [10, 20]
    np.testing.assert_array_equal(panel.close, [[1, np.nan, 2], [np.nan, np.nan, 3]])
    np.testing.assert_array_equal(panel.ts_open_ns, [[5, 10, 5], [20, 20, 15]])


def test_panel_and_bars_convert_both_ways() -> None:
    """No bar is lost on the way there and back."""
    assert BarPanel.from_bars(_bars(), 3).to_bars() == _bars()


def test_blocks_cover_the_panel_once() -> None:
    """Blocks of one row are the rows."""
    panel = BarPanel.from_bars(_bars(), 3)
    assert [block.ts_ns.tolist() for block in panel.blocks(1)] == [[10], [20]]


def test_columns_of_picks_symbols() -> None:
    """A shard sees its own columns only."""
    panel = BarPanel.from_bars(_bars(), 3).columns_of(np.array([2]))
    np.testing.assert_array_equal(panel.close, [[2], [3]])
