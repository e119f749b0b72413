"""vectorbt on an SMA cross, all symbols as columns of one portfolio. Argument: the bars."""

import sys

import vectorbt as vbt
from bars_file import read_bars
from turns import take_turns

close = read_bars(sys.argv[1])["Close"]


def repeat(_):
    """Trade all symbols with shared cash and look at the equity."""
    fast, slow = vbt.MA.run(close, 10), vbt.MA.run(close, 30)
    rises = fast.ma_crossed_above(slow).to_numpy()
    falls = fast.ma_crossed_below(slow).to_numpy()
    portfolio = vbt.Portfolio.from_signals(
        close,
        entries=rises,
        short_entries=falls,
        init_cash=1_000_000,
        fees=0.00025,
        group_by=True,
        cash_sharing=True,
        freq="1D",
    )
    portfolio.value()


take_turns(
    repeat,
    work=close.size,
    libraries=["vectorbt", "pandas", "numpy", "numba"],
    note="SMA 10/30 cross over whole arrays: no step can depend on more than prices and orders; no features or store",
)
