"""The checks against real raw prices, with the vendor's split factors as the truth."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trader.core.market import BarBatch, Universe
from trader.data.datasets import sp500_bars
from trader.data.quality import QualityReport, inspect, repair
from trader.data.readers import read_market_file

NAMED_BY_HAND = {
    ("GOOG", "2014-04-03"): 2.0,  # the class C dividend; the vendor lists it under GOOGL's older file
    ("WM", "2001-05-16"): 1.5,  # Washington Mutual, which had the ticker before Waste Management
}
REUSED = {"FB": "2012-05-18", "USO": "2006-04-10", "EEM": "2003-04-11", "BNO": "2010-06-02", "WM": "2009-08-05"}


@pytest.fixture(scope="module")
def raw(shared_data: Path) -> tuple[BarBatch, Universe]:
    data, universe, rejected = read_market_file(shared_data / "daily" / "lean_us14_ohlcv_daily_1998_2021.parquet")
    assert rejected == {}
    assert isinstance(data, BarBatch)
    return data, universe


@pytest.fixture(scope="module")
def report(raw: tuple[BarBatch, Universe]) -> QualityReport:
    return inspect(*raw)


@pytest.fixture(scope="module")
def true_splits(shared_data: Path, raw: tuple[BarBatch, Universe]) -> dict[tuple[str, str], float]:
    """Splits of 5:4 or more by the vendor's factors, dated by the first bar after; GOOG 2015 (1.0027) is smaller."""
    bars, universe = raw
    factors = pd.read_csv(shared_data / "daily" / "lean_us14_factor_files.csv.gz").dropna(subset=["date"])
    truth = dict(NAMED_BY_HAND)
    for symbol, rows in factors[factors["split_factor"] > 0].groupby("symbol"):
        ordered = rows.sort_values("date")
        ratio = (ordered["split_factor"].shift(-1) / ordered["split_factor"]).to_numpy()
        days = days_of(bars.ts_ns[bars.symbol_id == universe.id_of(str(symbol))])
        for last_day, factor in zip(ordered["date"].astype(int).astype(str), ratio, strict=True):
            after = days[days > f"{last_day[:4]}-{last_day[4:6]}-{last_day[6:]}"]
            if abs(np.log(factor)) > 0.2 and 0 < after.size < days.size:
                truth[str(symbol), str(after[0])] = round(float(factor), 2) if factor > 1 else float(factor)
    return truth


def days_of(ts_ns: np.ndarray) -> np.ndarray:
    return ts_ns.astype("datetime64[ns]").astype("datetime64[D]").astype(str)


def keyed(report: QualityReport, check: str, action: str) -> dict[tuple[str, str], float]:
    return {(f.symbol, str(days_of(np.array(f.ts_ns)))): f.value for f in report.of(check) if f.action == action}


def test_every_split_is_repaired_and_nothing_else(
    report: QualityReport, true_splits: dict[tuple[str, str], float]
) -> None:
    """18 splits of 14 symbols: all found, with the right factor, none invented."""
    found = keyed(report, "splits", "repaired")
    assert len(true_splits) == 18
    assert found == pytest.approx(true_splits, rel=1e-3)


def test_one_crash_is_suspected_and_left_alone(report: QualityReport) -> None:
    """Facebook's fall of 2018-07-26 opens near 4/5; its volume tells that it is no split."""
    assert list(keyed(report, "splits", "reported")) == [("FB", "2018-07-26")]


def test_every_reused_ticker_is_found_and_nothing_else(report: QualityReport) -> None:
    """Five tickers changed company; QQQ, away for six years under another name, did not."""
    assert keyed(report, "reuse", "repaired").keys() == set(REUSED.items())
    assert keyed(report, "reuse", "reported") == {}


def test_the_holes_of_qqq_and_wm_are_reported(report: QualityReport) -> None:
    """QQQ traded as QQQQ from 2004-12 to 2011-03; WM was nobody's for 313 days."""
    longest = {f.symbol: f.rows for f in report.of("gaps") if f.rows > 200}
    assert longest.keys() >= {"QQQ", "WM"}
    assert longest["QQQ"] > 1500


def test_the_known_bad_print_is_the_only_one(report: QualityReport) -> None:
    """GOOG closed at 400 on 2008-09-30; erroneous trades made it 294.57."""
    assert keyed(report, "outliers", "rejected").keys() == {("GOOG", "2008-09-30")}


def test_repaired_returns_equal_the_vendors(
    raw: tuple[BarBatch, Universe], report: QualityReport, true_splits: dict[tuple[str, str], float]
) -> None:
    """Across every split the return is the raw one times the true factor; elsewhere it is unchanged."""
    bars, universe = raw
    mended = repair(bars, report)
    for symbol in universe.symbols:
        symbol_id = universe.id_of(symbol)
        before, after = (b.take(b.symbol_id == symbol_id) for b in (bars, mended))
        kept = np.isin(before.ts_ns, after.ts_ns)
        before = before.take(kept)
        factor = np.array([true_splits.get((symbol, day), 1.0) for day in days_of(before.ts_ns)])[1:]
        expected = before.close[1:] / before.close[:-1] * factor
        np.testing.assert_allclose(after.close[1:] / after.close[:-1], expected, rtol=1e-3)
        assert after.close[-1] == before.close[-1]
        if symbol in REUSED:
            assert days_of(after.ts_ns)[0] == REUSED[symbol]


def test_repaired_bars_need_no_repair(raw: tuple[BarBatch, Universe], report: QualityReport) -> None:
    """Inspecting again finds nothing left to act on."""
    bars, universe = raw
    again = inspect(repair(bars, report), universe)
    assert again.actions()["rejected"] == again.actions()["repaired"] == 0


def test_adjusted_closes_stay_as_they_are() -> None:
    """On 20 adjusted stocks nothing is rejected or repaired, and little is said: 42 findings on 166,260 bars."""
    bars, universe = sp500_bars()
    report = inspect(bars, universe)
    assert report.actions() == {"reported": len(report.findings), "rejected": 0, "repaired": 0}
    counts = report.counts()
    assert counts["splits"] <= 10
    assert counts["outliers"] <= 15
    assert counts["duplicates"] == counts["gaps"] == counts["prices"] == counts["reuse"] == counts["time_travel"] == 0
    # RRC stood still for weeks in 1990-92.
    assert sum(f.symbol == "RRC" for f in report.of("stale")) >= counts["stale"] - 2
    assert repair(bars, report) is bars


def test_closes_alone_only_raise_a_suspicion(
    raw: tuple[BarBatch, Universe], true_splits: dict[tuple[str, str], float]
) -> None:
    """Without opens and volume most splits are still seen, and none is acted on."""
    bars, universe = raw
    unknown = np.full(len(bars), np.nan)
    report = inspect(dataclasses.replace(bars, open=unknown, high=unknown, low=unknown, volume=unknown), universe)
    assert keyed(report, "splits", "repaired") == {}
    suspected = keyed(report, "splits", "reported")
    assert len(suspected.keys() & true_splits.keys()) >= 16
    assert len(suspected.keys() - true_splits.keys()) <= 3
