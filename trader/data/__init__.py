"""Market data: feeds, files, data sets, the simulated market, and the checks of their quality."""

from trader.data.boundary import validate, validate_bars, validate_quotes, validate_trades
from trader.data.buffer import BoundedBuffer
from trader.data.datasets import Benchmark, benchmark_for, sp500_bars, sp500_index
from trader.data.feeds import feed_window, open_feed
from trader.data.planted import PlantedMarket, plant
from trader.data.quality import QualityReport, inspect, repair
from trader.data.readers import MarketFile, read_market_file
from trader.data.replay import ReplayFeed
from trader.data.simulated import SimulatedMarket
from trader.data.simulation.ticks import simulate_trades, trade_chunks

__all__ = [
    "Benchmark",
    "BoundedBuffer",
    "MarketFile",
    "PlantedMarket",
    "QualityReport",
    "ReplayFeed",
    "SimulatedMarket",
    "benchmark_for",
    "feed_window",
    "inspect",
    "open_feed",
    "plant",
    "read_market_file",
    "repair",
    "simulate_trades",
    "sp500_bars",
    "sp500_index",
    "trade_chunks",
    "validate",
    "validate_bars",
    "validate_quotes",
    "validate_trades",
]
