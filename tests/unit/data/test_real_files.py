from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trader.core.errors import DataError
from trader.core.market import BarBatch, QuoteBatch, TradeBatch
from trader.data.readers import read_market_file

NEW_YORK = "America/New_York"


def test_trade_ticks(shared_data: Path) -> None:
    """1.1 million trades of SPY arrive unchanged, with New York times as UTC."""
    path = shared_data / "ticks" / "lean_spy_trades_20131007_09.parquet"
    data, universe, rejected = read_market_file(path, timezone=NEW_YORK, symbols=("SPY",))
    frame = pd.read_parquet(path)
    assert isinstance(data, TradeBatch)
    assert (universe.symbols, rejected, len(data)) == (("SPY",), {}, 1_141_823)
    assert np.array_equal(data.price, frame["price"])
    assert np.array_equal(data.size, frame["size"])
    expected = frame["ts"].dt.tz_localize(NEW_YORK).dt.tz_convert("UTC").dt.tz_localize(None)
    assert np.array_equal(data.ts_event_ns, expected.to_numpy().astype("datetime64[ns]").astype(np.int64))


def test_one_sided_quotes_are_refused(shared_data: Path) -> None:
    """Rows that carry one side of one venue are no quotes: every row is counted, and none is used."""
    path = shared_data / "ticks" / "lean_ibm_quotes_20131007_11.parquet"
    with pytest.raises(DataError, match="holds no usable row: 575589 price_not_positive"):
        read_market_file(path, timezone=NEW_YORK)


def test_crossed_quotes_of_a_foreign_exchange_dealer(shared_data: Path) -> None:
    """The dealer's crossed quotes are exactly what is refused."""
    path = shared_data / "ticks" / "lean_fxcm_eurusd_quotes_20140505_09.parquet"
    data, _, rejected = read_market_file(path, timezone="Etc/GMT+5", symbols=("EURUSD",))
    frame = pd.read_parquet(path)
    assert isinstance(data, QuoteBatch)
    assert rejected == {"crossed_quote": int((frame["bid"] > frame["ask"]).sum())}
    assert len(data) + rejected["crossed_quote"] == len(frame)


def test_minute_bars_by_column_mapping(shared_data: Path) -> None:
    """Bars stamped by their start close a minute later; the mapping says so."""
    path = shared_data / "minute" / "lean_us_equity_1m_trades.parquet"
    data, universe, rejected = read_market_file(
        path, columns={"ts_open": "ts"}, timezone=NEW_YORK, symbols=("SPY", "IBM")
    )
    frame = pd.read_parquet(path)
    assert isinstance(data, BarBatch)
    assert (universe.symbols, rejected) == (("SPY", "IBM"), {})
    assert set(data.ts_ns - data.ts_open_ns) == {60 * 10**9}
    mine = data.take(data.symbol_id == universe.id_of("IBM"))
    theirs = frame[frame["symbol"] == "IBM"].sort_values("ts")
    assert np.array_equal(mine.close, theirs["close"])
    assert np.array_equal(mine.volume, theirs["volume"])
    assert pd.Timestamp(mine.ts_open_ns[0], tz="UTC").tz_convert(NEW_YORK).tz_localize(None) == theirs["ts"].iloc[0]


def test_minute_quotes_by_column_mapping(shared_data: Path) -> None:
    """The closing bid and ask of minute bars serve as quotes; minutes without one side are refused."""
    path = shared_data / "minute" / "lean_us_equity_1m_quotes.parquet"
    columns = {"bid": "bid_close", "ask": "ask_close"}
    data, _, rejected = read_market_file(path, kind="quotes", columns=columns, timezone=NEW_YORK)
    frame = pd.read_parquet(path)
    assert isinstance(data, QuoteBatch)
    assert rejected == {"price_not_finite": int(frame[["bid_close", "ask_close"]].isna().any(axis=1).sum())}


def test_wide_closes_equal_the_dataset(shared_data: Path) -> None:
    """The wide CSV of the 20 stocks holds what the data set loads."""
    from trader.data.datasets import sp500_bars

    bars, universe = sp500_bars()
    data, names, _ = read_market_file(shared_data / "daily" / "sp500_20stocks_close_1990_2022.csv.gz")
    assert names == universe
    assert np.array_equal(data.close, bars.close)


def test_index_levels_that_contradict_themselves(shared_data: Path) -> None:
    """Index days whose open or close lies outside low to high are refused, and exactly those."""
    path = shared_data / "daily" / "vix_ohlc_1990_2026.csv.gz"
    _, _, rejected = read_market_file(path)
    frame = pd.read_csv(path)
    ends = frame[["OPEN", "CLOSE"]]
    wrong = (ends.max(axis=1) > frame["HIGH"]) | (ends.min(axis=1) < frame["LOW"])
    assert rejected == {"inconsistent_bar": int(wrong.sum())}
