from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trader.core.errors import DataError
from trader.data.nbbo import national_quotes

NEW_YORK = "America/New_York"
MINUTE_NS = 60 * 10**9


def write(folder: Path, text: str) -> Path:
    path = folder / "quotes.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_one_sided_rows_leave_the_other_side(tmp_path: Path) -> None:
    """A zero beside a quote says nothing; flagged rows are left out; a new day begins empty."""
    path = write(
        tmp_path,
        "ts,bid,bid_size,ask,ask_size,exch,susp\n"
        "2024-01-02T15:00:00Z,9.9,100,0,0,N,0\n"
        "2024-01-02T15:00:01Z,0,0,10.0,200,Q,0\n"
        "2024-01-02T15:00:02Z,9.95,100,0,0,Q,1\n"
        "2024-01-02T15:00:03Z,9.9,300,0,0,Q,0\n"
        "2024-01-03T15:00:00Z,9.0,100,0,0,N,0\n",
    )
    made = national_quotes(path, timezone=NEW_YORK)
    assert (made.venues, made.left_out, made.universe.symbols) == (("N", "Q"), {"suspicious": 1}, ("quotes",))
    np.testing.assert_array_equal(made.data.bid, [9.9, 9.9, 9.9, 9.0])
    np.testing.assert_array_equal(made.data.bid_size, [100, 100, 400, 100])
    np.testing.assert_array_equal(made.data.ask, [np.nan, 10.0, 10.0, np.nan])


def test_two_sided_rows_withdraw_by_zero(tmp_path: Path) -> None:
    """Where rows have both sides, a zero is a withdrawal."""
    path = write(
        tmp_path,
        "time,symbol,bid,ask,venue\n"
        "2024-01-02T15:00:00Z,A,9.9,10.0,N\n"
        "2024-01-02T15:00:01Z,A,9.8,10.1,Q\n"
        "2024-01-02T15:00:02Z,A,0,10.0,N\n",
    )
    made = national_quotes(path)
    assert (made.data.bid[-1], made.data.ask[-1], made.counts.withdrawn) == (9.8, 10.0, 1)


def test_without_venues(tmp_path: Path) -> None:
    """The error says what is missing and how to name it."""
    path = write(tmp_path, "ts,bid,ask,at\n2024-01-02T15:00:00Z,9.9,10.0,N\n")
    with pytest.raises(DataError, match="has no column of venue; it has ts, bid, ask, at; map one, as in venue=at"):
        national_quotes(path)
    assert national_quotes(path, columns={"venue": "at"}).venues == ("N",)


def test_a_day_of_venues_against_a_table_of_venues(shared_data: Path) -> None:
    """Price and size of both sides after every row equal those of a forward-filled table of venues, exactly."""
    path = shared_data / "ticks" / "lean_ibm_quotes_20131007_11.parquet"
    made = national_quotes(path, timezone=NEW_YORK)
    first = made.data.take(made.data.ts_event_ns < pd.Timestamp("2013-10-08", tz=NEW_YORK).value)
    frame = pd.read_parquet(path)
    frame = frame[(frame["ts"] < "2013-10-08") & (frame["susp"] == 0)].reset_index(drop=True)
    expected = {}
    for side, best in (("bid", "max"), ("ask", "min")):
        spoken = frame[frame[side] > 0]
        venues = spoken["exch"].astype(str)
        names = sorted(venues.unique())
        prices = pd.DataFrame({v: spoken[side][venues == v] for v in names}, frame.index).ffill()
        sizes = pd.DataFrame({v: spoken[f"{side}_size"][venues == v] for v in names}, frame.index).ffill()
        expected[side] = getattr(prices, best)(axis=1)
        expected[f"{side}_size"] = sizes.where(prices.eq(expected[side], axis=0)).sum(axis=1)
    table = pd.DataFrame(expected)
    changed = (table.ne(table.shift()) & ~(table.isna() & table.shift().isna())).any(axis=1)
    # A change of the number of venues alone leaves price and size: such rows are in ours, not in the table's.
    ours = pd.DataFrame({name: getattr(first, name) for name in table.columns})
    ours = ours[(ours.ne(ours.shift()) & ~(ours.isna() & ours.shift().isna())).any(axis=1)]
    assert len(ours) > 5_000
    pd.testing.assert_frame_equal(ours.reset_index(drop=True), table[changed].reset_index(drop=True))


def test_rows_of_the_national_best_give_the_vendors_minute_bars(shared_data: Path) -> None:
    """The file's rows are changes of the national best: all ten fields of the vendor's 2,853 minute bars come out.

    Taken as quotes of single venues they cross nine times of ten, for no row ever withdraws a venue. The vendor opens
    a minute with the quote before it, which counts in its high and low.
    """
    path = shared_data / "ticks" / "lean_ibm_quotes_20131007_11.parquet"
    made = national_quotes(path, rows="best", timezone=NEW_YORK)
    assert made.left_out == {"suspicious": 3}
    assert made.counts.crossed < 0.001 * made.counts.changes
    alone = national_quotes(path, timezone=NEW_YORK).counts
    assert alone.crossed > 0.9 * alone.changes

    local = pd.DatetimeIndex(made.data.ts_event_ns, tz="UTC").tz_convert(NEW_YORK).tz_localize(None)
    theirs = pd.read_parquet(shared_data / "minute" / "lean_us_equity_1m_quotes.parquet")
    theirs = theirs[(theirs["symbol"] == "IBM") & (theirs["ts"] >= "2013-10-07") & (theirs["ts"] < "2013-10-12")]
    theirs = theirs.set_index("ts")
    agree = {}
    for side in ("bid", "ask"):
        quoted = pd.DataFrame({"price": getattr(made.data, side), "size": getattr(made.data, f"{side}_size")}, local)
        minutes = quoted.dropna().groupby(quoted.dropna().index.floor("min"))
        ours = minutes["price"].agg(["first", "max", "min", "last"]).join(minutes["size"].last()).reindex(theirs.index)
        days = pd.Series(theirs.index.date, theirs.index)
        ours[["last", "size"]] = ours[["last", "size"]].groupby(days).ffill()  # a minute without a change
        opening = ours["last"].groupby(days).shift().fillna(ours["first"])
        made_bars = {
            "open": opening,
            "high": ours["max"].combine(opening, np.fmax),
            "low": ours["min"].combine(opening, np.fmin),
            "close": ours["last"],
            "size": ours["size"],
        }
        for name, column in made_bars.items():
            vendor = theirs[f"{side}_size" if name == "size" else f"{side}_{name}"]
            agree[f"{side}_{name}"] = int((column == vendor).sum())
    assert len(theirs) == 2853
    assert agree == dict.fromkeys(agree, 2853)
