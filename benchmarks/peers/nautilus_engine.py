"""nautilus_trader's BacktestEngine building bars for a strategy that subscribes to all. Arguments: file, ticks."""

import sys

from nautilus_ticks import VENUE, read_trades
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.config import BacktestEngineConfig, LoggingConfig, RiskEngineConfig
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import AccountType, OmsType
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Money
from nautilus_trader.trading.strategy import Strategy
from turns import take_turns

path, n_trades = sys.argv[1], int(sys.argv[2])
instruments, ticks, _ = read_trades(path, n_trades)


class CountBars(Strategy):
    """Counts one-minute bars of every instrument; trades nothing."""

    def on_start(self):
        """Subscribe to the bars of all instruments, built from their trades."""
        self.n_bars = 0
        for instrument in self.cache.instruments():
            self.subscribe_bars(BarType.from_str(f"{instrument.id}-1-MINUTE-LAST-INTERNAL"))

    def on_bar(self, _bar):
        """Count."""
        self.n_bars += 1


engine = BacktestEngine(
    BacktestEngineConfig(
        logging=LoggingConfig(bypass_logging=True),
        risk_engine=RiskEngineConfig(bypass=True),
        run_analysis=False,
    )
)
engine.add_venue(Venue(VENUE), OmsType.NETTING, AccountType.MARGIN, [Money(1_000_000, USD)], base_currency=USD)
for instrument in instruments:
    engine.add_instrument(instrument)
# Already in order of time: sorting is left out, in its favour.
engine.add_data(ticks, sort=False, validate=False)
strategy = CountBars()
engine.add_strategy(strategy)


def repeat(_):
    """Run the engine over all ticks."""
    engine.run()
    if strategy.n_bars == 0:
        raise RuntimeError("the engine built no bar")


take_turns(
    repeat,
    prepare=engine.reset,
    work=n_trades,
    libraries=["nautilus_trader", "numpy"],
    note="one-minute bars, no features; risk checks, logs and analysis off; ticks are objects made before the time",
)
