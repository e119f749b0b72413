from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trader.core.errors import DataError, NotFoundError
from trader.core.market import BarBatch, QuoteBatch, TradeBatch
from trader.data.readers import read_market_file

T0 = 1_600_000_000


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "time": pd.to_datetime([T0, T0 + 1, T0 + 1, T0 + 2], unit="s"),
            "ticker": ["B", "A", "B", "A"],
            "last": [10.0, 20.0, 10.5, 20.5],
            "qty": [100, 200, 300, 400],
            "side": ["buy", "S", "", "b"],
        }
    )


@pytest.mark.parametrize("form", ["csv", "csv.gz", "parquet", "tsv", "semicolon", "disguised"])
def test_every_container_gives_the_same_trades(tmp_path: Path, frame: pd.DataFrame, form: str) -> None:
    """CSV, gzip, Parquet and other delimiters carry the same rows; the content decides, not the name."""
    path = tmp_path / {"tsv": "x.tsv", "semicolon": "x.csv", "disguised": "x.txt"}.get(form, f"x.{form}")
    if form in ("parquet", "disguised"):
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep={"tsv": "\t", "semicolon": ";"}.get(form, ","))
    data, universe, rejected = read_market_file(path)
    assert universe.symbols == ("B", "A")
    assert rejected == {}
    assert data == TradeBatch(
        ts_event_ns=np.array([T0, T0 + 1, T0 + 1, T0 + 2]) * 10**9,
        ts_recv_ns=np.array([T0, T0 + 1, T0 + 1, T0 + 2]) * 10**9,
        symbol_id=[0, 1, 0, 1],
        price=[10.0, 20.0, 10.5, 20.5],
        size=[100, 200, 300, 400],
        side=[1, -1, 0, 1],
    )


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("timestamp,price", TradeBatch),
        ("Date,Px", TradeBatch),
        ("datetime,Last", TradeBatch),
        ("ts,bid", None),
        ("ts,bid,ask", QuoteBatch),
        ("time,Bid Price,Ask Price", QuoteBatch),
        ("date,open,high,low,close", BarBatch),
        ("t ime,Close", None),
        ("TIME,CLOSE", BarBatch),
        ("Date,O,H,L,C", BarBatch),
        ("date,C,F,T,V", BarBatch),
    ],
)
def test_kinds_are_told_by_the_columns(tmp_path: Path, header: str, kind: type | None) -> None:
    """Usual names and their variants are recognised; what cannot be told is refused."""
    width = header.count(",")
    path = write(tmp_path / "x.csv", f"{header}\n2020-01-02" + ",10" * width + "\n")
    if kind is None:
        with pytest.raises(DataError, match="has no column for"):
            read_market_file(path)
    else:
        data, universe, _ = read_market_file(path)
        assert type(data) is kind
        assert len(universe) == (4 if header == "date,C,F,T,V" else 1)


def test_a_mapping_wins_over_names(tmp_path: Path) -> None:
    """A mapped column is taken though another has our name; keys may be the batch's own column names."""
    path = write(tmp_path / "x.csv", "ts,price,mid,sent\n2020-01-02T00:00:01,1,10,2020-01-02\n")
    data, _, _ = read_market_file(path, kind="trades", columns={"price": "mid", "ts_event_ns": "sent"})
    assert data.price.tolist() == [10]
    assert data.ts_event_ns[0] == pd.Timestamp("2020-01-02").value


def test_wide_closes(tmp_path: Path) -> None:
    """One column a symbol: empty cells make no bar, days end in the given zone."""
    path = write(tmp_path / "x.csv", "Date,LOW,KEY\n2020-01-03,11,\n2020-01-02,10,20\n")
    data, universe, rejected = read_market_file(path, timezone="America/New_York")
    assert universe.symbols == ("LOW", "KEY")
    assert rejected == {}
    assert data.close.tolist() == [10, 20, 11]
    assert data.symbol_id.tolist() == [0, 1, 0]
    last_moment = pd.Timestamp("2020-01-02 23:59:59.999999", tz="America/New_York")
    assert data.ts_ns[0] == last_moment.as_unit("ns").value
    assert np.array_equal(data.ts_open_ns, data.ts_ns)
    assert read_market_file(path, symbols=("KEY",)).data.close.tolist() == [20]


def test_wide_parquet_with_a_pandas_index(tmp_path: Path) -> None:
    """The index of a DataFrame is found, named or not."""
    closes = pd.DataFrame({"A": [1.0, 2.0]}, index=pd.DatetimeIndex(["2020-01-02", "2020-01-03"]))
    closes.to_parquet(tmp_path / "x.parquet")
    closes.to_csv(tmp_path / "x.csv")
    for name in ("x.parquet", "x.csv"):
        assert read_market_file(tmp_path / name).data.close.tolist() == [1, 2]


def test_rows_are_sorted_and_equal_times_keep_their_order(tmp_path: Path) -> None:
    """Blocks of symbols and shuffled rows come out in order of time; of equal stamps the file's order stays."""
    path = write(tmp_path / "x.csv", f"ts,symbol,price\n{T0 + 1},A,1\n{T0},A,2\n{T0 + 1},B,3\n{T0},B,4\n{T0 + 1},A,5\n")
    data, universe, _ = read_market_file(path)
    assert universe.symbols == ("A", "B")
    assert data.price.tolist() == [2, 4, 1, 3, 5]


def test_daily_bars_open_at_half_past_nine_and_close_with_the_day(tmp_path: Path) -> None:
    """A bar dated by day only is known when the day is over, and its first price is that of the morning."""
    path = write(tmp_path / "x.csv", "date,open,high,low,close\n2020-07-01,1,2,1,2\n")
    data, _, _ = read_market_file(path, timezone="Europe/Berlin")
    assert data.ts_ns[0] == pd.Timestamp("2020-07-01 23:59:59.999999", tz="Europe/Berlin").as_unit("ns").value
    assert data.ts_open_ns[0] == pd.Timestamp("2020-07-01 09:30", tz="Europe/Berlin").as_unit("ns").value


def test_bars_stamped_by_their_opening_close_a_step_later(tmp_path: Path) -> None:
    """`ts_open` moves the close one step on; a stamp that is the close moves the opening one step back."""
    rows = "".join(f"{T0 + 300 * i},1,2,1,2\n" for i in (0, 1, 2, 9))
    path = write(tmp_path / "x.csv", "t,open,high,low,close\n" + rows)
    stamps = (T0 + 300 * np.array([0, 1, 2, 9])) * 10**9
    opened = read_market_file(path, columns={"ts_open": "t"}).data
    closed = read_market_file(path, columns={"ts": "t"}).data
    assert np.array_equal(opened.ts_open_ns, stamps)
    assert np.array_equal(opened.ts_ns, stamps + 300 * 10**9)
    assert np.array_equal(closed.ts_ns, stamps)
    assert np.array_equal(closed.ts_open_ns, stamps - 300 * 10**9)


def test_a_single_bar_stamped_by_its_opening_is_refused(tmp_path: Path) -> None:
    """Its length cannot be known."""
    path = write(tmp_path / "x.csv", f"open_time,close\n{T0},1\n")
    with pytest.raises(DataError, match="so their length is unknown"):
        read_market_file(path)


def test_bad_rows_are_counted_and_the_rest_kept(tmp_path: Path) -> None:
    """NaN, zero, missing time and missing symbol each cost their own row."""
    path = write(tmp_path / "x.csv", f"ts,symbol,price\n{T0},A,1\n{T0},A,nan\n{T0},A,0\n,A,1\n{T0},,1\n")
    data, _, rejected = read_market_file(path)
    assert data.price.tolist() == [1]
    assert rejected == {"missing_time": 1, "missing_symbol": 1, "price_not_finite": 1, "price_not_positive": 1}


def test_receipt_before_the_event_is_rejected(tmp_path: Path) -> None:
    """With both times in the file, time travel is found."""
    path = write(tmp_path / "x.csv", f"ts,ts_recv,price\n{T0},{T0 + 1},1\n{T0 + 9},{T0 + 2},1\n")
    data, _, rejected = read_market_file(path)
    assert rejected == {"time_travel": 1}
    assert data.ts_recv_ns.tolist() == [(T0 + 1) * 10**9]


def test_tickers_stay_text(tmp_path: Path) -> None:
    """Numeric tickers keep their zeros, and NA and TRUE are tickers."""
    path = write(tmp_path / "x.csv", "ts,ticker,price\n" + "".join(f"{T0},{t},1\n" for t in ("000001", "NA", "TRUE")))
    assert read_market_file(path).universe.symbols == ("000001", "NA", "TRUE")
    other = write(tmp_path / "y.csv", f"ts,code,price\n{T0},000001,1\n")
    assert read_market_file(other, columns={"symbol": "code"}).universe.symbols == ("000001",)


def test_symbols_choose_order_and_name(tmp_path: Path) -> None:
    """A choice filters and numbers; a file without symbol column takes the one name given, else its own."""
    path = write(tmp_path / "x.csv", f"ts,symbol,price\n{T0},A,1\n{T0},B,2\n{T0},C,3\n{T0},,4\n")
    data, universe, rejected = read_market_file(path, symbols=("C", "A"))
    assert universe.symbols == ("C", "A")
    assert sorted(zip(data.symbol_id.tolist(), data.price.tolist(), strict=True)) == [(0, 3), (1, 1)]
    assert rejected == {"missing_symbol": 1}
    bare = write(tmp_path / "spy.csv", f"ts,price\n{T0},1\n")
    assert read_market_file(bare).universe.symbols == ("spy",)
    assert read_market_file(bare, symbols=("SPY",)).universe.symbols == ("SPY",)
    with pytest.raises(DataError, match="has no symbol column; one name is allowed"):
        read_market_file(bare, symbols=("A", "B"))


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("", {}, "is empty"),
        ("ts,price\n", {}, "has a header but no rows"),
        (f"ts,price\n{T0},1,2\n", {}, "is not readable CSV or Parquet"),
        (f"ts,price,price\n{T0},1,2\n", {}, r"has columns \['price'\] more than once"),
        (f"ts,prise\n{T0},1\n", {}, "has no column for price .*; did you mean 'prise'"),
        (f"ts,prise\n{T0},1\n", {"kind": "trades"}, "no column for price, which trades need; did you mean 'prise'"),
        (f"when,price\n{T0},1\n", {}, "no column for ts, which trades need"),
        (f"ts,price\n{T0},1\n", {"kind": "quotes"}, "no column for bid, which quotes need"),
        (f"ts,price\n{T0},1\n", {"columns": {"price": "Pric"}}, "no column 'Pric' .*did you mean 'price'"),
        (
            f"ts,price\n{T0},1\n",
            {"columns": {"prize": "price"}},
            "maps 'prize', which is not one of ours; did you mean",
        ),
        (f"ts,price\n{T0},ten\n", {}, "column 'price' holds 'ten' in row 1; a number is allowed"),
        ("ts,price\nnever,1\n", {}, "column 'ts' holds 'never' in row 1, which is not a time"),
        ("ts,price\n2020-01-02,-1\n", {}, "holds no usable row: 1 price_not_positive"),
        (
            f"ts,symbol,price\n{T0},AAPL,1\n",
            {"symbols": ("APPL",)},
            "symbol 'APPL' is not in x.csv; did you mean 'AAPL'",
        ),
        (f"ts,price\n{T0},1\n", {"timezone": "Nowhere"}, "timezone='Nowhere' is unknown"),
    ],
)
def test_bad_files_give_one_clear_line(tmp_path: Path, text: str, arguments: dict[str, object], message: str) -> None:
    """Each fault is a DataError of one line that names what is wrong."""
    path = write(tmp_path / "x.csv", text)
    with pytest.raises(DataError, match=message) as caught:
        read_market_file(path, **arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    """Neither is read."""
    with pytest.raises(NotFoundError, match=r"gone.csv does not exist"):
        read_market_file(tmp_path / "gone.csv")
    with pytest.raises(DataError, match="holds no Parquet file"):
        read_market_file(tmp_path)


def test_a_forbidden_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's refusal becomes one line; root ignores modes, so the refusal is the system call's."""
    path = write(tmp_path / "x.csv", "ts,price\n")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"x.csv may not be read: permission denied"):
        read_market_file(path)


@pytest.mark.parametrize("cut", [3, 20, 60])
def test_damaged_gzip_and_parquet_are_refused(tmp_path: Path, frame: pd.DataFrame, cut: int) -> None:
    """A file that was cut short is not readable, whatever was cut."""
    whole = gzip.compress(frame.to_csv(index=False).encode())
    (tmp_path / "x.csv.gz").write_bytes(whole[:-cut])
    table = pa.Table.from_pandas(frame)
    pq.write_table(table, tmp_path / "y.parquet")
    (tmp_path / "x.parquet").write_bytes((tmp_path / "y.parquet").read_bytes()[:-cut])
    for name in ("x.csv.gz", "x.parquet"):
        with pytest.raises(DataError, match="is not readable CSV or Parquet"):
            read_market_file(tmp_path / name)
