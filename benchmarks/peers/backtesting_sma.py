"""backtesting.py on an SMA cross, one symbol after the other. Arguments: the bars, symbols."""

import sys

import pandas as pd
from backtesting import Backtest, Strategy
from backtesting.lib import crossover
from bars_file import read_bars
from turns import take_turns

bars, n_symbols = read_bars(sys.argv[1]), int(sys.argv[2])
frames = [pd.DataFrame({name: frame[symbol] for name, frame in bars.items()}) for symbol in range(n_symbols)]


def moving_average(values, n):
    """Return the mean of the last `n` values."""
    return pd.Series(values).rolling(n).mean()


class SmaCross(Strategy):
    """Long while the mean of 10 closes is above that of 30, else short."""

    def init(self):
        """Compute the two means."""
        self.fast = self.I(moving_average, self.data.Close, 10)
        self.slow = self.I(moving_average, self.data.Close, 30)

    def next(self):
        """Turn the position when the means cross."""
        if crossover(self.fast, self.slow):
            self.position.close()
            self.buy(size=0.5)
        elif crossover(self.slow, self.fast):
            self.position.close()
            self.sell(size=0.5)


def repeat(_):
    """Trade every symbol."""
    for frame in frames:
        Backtest(frame, SmaCross, cash=1_000_000_000, commission=0.00025, finalize_trades=True).run()


take_turns(
    repeat,
    work=len(bars["Close"]) * n_symbols,
    libraries=["backtesting", "pandas", "numpy"],
    note="SMA 10/30 cross, each symbol alone, with its statistics; no portfolio, risk limits or store",
)
