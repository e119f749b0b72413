"""Minute bars of trades against those of the vendor that sold both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trader.bars.tape import tape_bars
from trader.core.errors import DataError
from trader.data.boundary import validate_bars
from trader.data.feeds import open_feed
from trader.data.tape import TapeFile, read_tape
from trader.settings import FeedSettings

NEW_YORK = "America/New_York"
FIELDS = ["open", "high", "low", "close", "volume"]
FILES = {
    "IBM": "lean_ibm_trades_20131007_11",
    "BAC": "lean_bac_trades_20131007_11",
    "SPY": "lean_spy_trades_20131007_09",
}
AUCTIONS = {"09:30", "09:31", "15:59", "16:00", "16:01"}


def agreement(shared_data: Path, symbol: str, rule: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Which fields of which of the vendor's minutes come out exactly, and the vendor's bars."""
    path = shared_data / "ticks" / f"{FILES[symbol]}.parquet"
    tape = read_tape(path, rule=rule, codes="flags", timezone=NEW_YORK, symbols=(symbol,))  # type: ignore[arg-type]
    made = tape_bars(tape.last, tape.high_low, tape.volume, 1, 60.0)
    assert len(validate_bars(made)[0]) == len(made)
    closes = pd.DatetimeIndex(made.ts_ns, tz="UTC").tz_convert(NEW_YORK).tz_localize(None)
    ours = pd.DataFrame({name: getattr(made, name) for name in FIELDS}, closes - pd.Timedelta("1min"))
    theirs = pd.read_parquet(shared_data / "minute" / "lean_us_equity_1m_trades.parquet")
    theirs = theirs[theirs["symbol"] == symbol].set_index("ts").sort_index()[FIELDS]
    theirs = theirs[(theirs.index >= ours.index[0]) & (theirs.index.date <= ours.index[-1].date())]
    assert theirs.index.isin(ours.index).all()
    return ours.reindex(theirs.index) == theirs, theirs


@pytest.mark.parametrize(
    ("symbol", "rule", "expected"),
    [
        ("IBM", "ordinary", [2155, 2150, 2149, 2152, 2149, 2142, 2136]),
        ("BAC", "ordinary", [2949, 2941, 2945, 2946, 2942, 2938, 2933]),
        ("SPY", "ordinary", [2469, 2466, 2466, 2465, 2464, 2461, 2460]),
        ("IBM", "consolidated", [2155, 1706, 1808, 1725, 1753, 2142, 1088]),
        ("BAC", "consolidated", [2949, 2870, 2939, 2935, 2871, 2938, 2777]),
        ("IBM", "all", [2155, 1695, 1772, 1697, 1751, 2137, 1046]),
    ],
)
def test_minutes_that_agree_with_the_vendors(shared_data: Path, symbol: str, rule: str, expected: list[int]) -> None:
    """The number of the vendor's bars, and how many agree to the last digit: open, high, low, close, volume, all."""
    same, theirs = agreement(shared_data, symbol, rule)
    assert [len(theirs), *(int(same[name].sum()) for name in FIELDS), int(same.all(axis=1).sum())] == expected
    if rule == "ordinary":
        apart = same.index[~same.all(axis=1)].strftime("%H:%M")
        assert len(apart.difference(AUCTIONS)) <= 3
        assert set(same.index[~same["volume"]].strftime("%H:%M")) <= AUCTIONS


def write_trades(path: Path) -> Path:
    """A minute of four trades and one of a sweep alone."""
    path.write_text(
        "ts,price,size,cond,susp\n"
        "2024-01-02T15:00:01Z,10.00,100,@,0\n"
        "2024-01-02T15:00:02Z,10.50,200,@F,0\n"
        "2024-01-02T15:00:03Z,10.20,300,@,0\n"
        "2024-01-02T15:00:04Z,10.10,0,M,0\n"
        "2024-01-02T15:00:05Z,99.00,100,@,1\n"
        "2024-01-02T15:01:01Z,10.40,400,@F,0\n",
        encoding="utf-8",
    )
    return path


def test_bars_of_a_tape(tmp_path: Path) -> None:
    """Prices of those that may set them, volume of all; a minute without such trades takes what it has."""
    tape: TapeFile = read_tape(write_trades(tmp_path / "trades.csv"), rule="ordinary", codes="cta")
    assert tape.left_out == {"suspicious": 1, "no_last": 3, "no_high_low": 3, "no_volume": 1}
    bars = tape_bars(tape.last, tape.high_low, tape.volume, 1, 60.0)
    np.testing.assert_array_equal([bars.open, bars.high, bars.low, bars.close], [[10.0, 10.4], [10.2, 10.4]] * 2)
    np.testing.assert_array_equal(bars.volume, [600, 400])
    np.testing.assert_allclose(bars.vwap, [(10 * 100 + 10.2 * 300) / 400, 10.4])


def test_a_feed_of_trades_that_may_set_a_price(tmp_path: Path) -> None:
    """`feed.sale_rule` leaves the others out of a run, and counts them."""
    path = write_trades(tmp_path / "trades.csv")
    feed = open_feed(FeedSettings(kind="file", path=path, sale_rule="ordinary", sale_codes="cta"), seed=0)
    (batch,) = feed.batches()
    np.testing.assert_array_equal(batch.data.price, [10.0, 10.2])  # type: ignore[union-attr]
    assert feed.rejected() == {"suspicious": 1, "no_last": 3}


def test_conditions_that_are_not_there(tmp_path: Path) -> None:
    """The error says which column is missing, and of a file without usable rows why."""
    path = tmp_path / "trades.csv"
    path.write_text("ts,price,size\n2024-01-02T15:00:01Z,10,100\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"file trades.csv has no column of conditions; it has ts, price, size"):
        read_tape(path, rule="ordinary", codes="cta")
    path.write_text("ts,price,size,cond\n2024-01-02T15:00:01Z,10,100,M\n", encoding="utf-8")
    with pytest.raises(DataError, match="holds no usable row: 1 no_last, 1 no_high_low, 1 no_volume"):
        read_tape(path, rule="ordinary", codes="cta")
