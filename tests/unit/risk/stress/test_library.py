"""The scenarios that come along: many, sourced, and their figures those of the data they name."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from risk.stress import Scenario, choose, library, read_scenarios, sources
from trader.core.errors import DataError, NotFoundError

DAILY = Path(__file__).parents[5] / "shared" / "data" / "daily"
HISTORICAL = [scenario for scenario in library() if scenario.kind == "historical"]
SECTORS = {
    "XLK": "technology", "XLF": "financials", "XLE": "energy", "XLB": "materials", "XLI": "industrials",
    "XLP": "staples", "XLY": "discretionary", "XLU": "utilities", "XLV": "health", "IBB": "biotech",
    "ITA": "defence", "VNQ": "real_estate", "AGG": "bonds", "TLT": "treasuries", "GLD": "gold", "DBC": "commodities",
}  # fmt: skip


def test_there_are_many_and_each_says_where_it_comes_from() -> None:
    """Over a hundred of history alone; names are unique, sources explained."""
    assert len(library()) >= 170
    assert len(HISTORICAL) >= 100
    assert len({scenario.name for scenario in library()}) == len(library())
    for scenario in library():
        assert set(scenario.source) <= set(sources()), scenario.name
        assert (scenario.first is not None) == (scenario.kind == "historical"), scenario.name
        assert "assumed" not in scenario.source or scenario.kind != "historical"
    for year in (1973, 1987, 1990, 1998, 2000, 2008, 2010, 2011, 2013, 2015, 2018, 2020, 2022, 2023, 2024, 2025):
        assert any(scenario.first is not None and scenario.first.year == year for scenario in HISTORICAL), year


def test_well_known_figures_are_there() -> None:
    """As they were in the papers: closes of the S&P 500, and of the VIX."""
    by_name = {scenario.name: scenario.shocks for scenario in library()}
    assert by_name["covid-2020"]["equity"] == pytest.approx(2237.40 / 3386.15 - 1, abs=5e-4)
    assert by_name["financial-crisis-2007-09"]["equity"] == pytest.approx(676.53 / 1565.15 - 1, abs=5e-4)
    assert by_name["dotcom-bear-2000-02"]["equity"] == pytest.approx(776.76 / 1527.46 - 1, abs=5e-4)
    assert by_name["tariffs-2025"]["equity"] == pytest.approx(4982.77 / 5670.97 - 1, abs=5e-4)
    assert by_name["yen-2024"]["equity"] == pytest.approx(5186.33 / 5522.30 - 1, abs=5e-4)
    assert by_name["volmageddon-2018"]["vix"] == pytest.approx(0.3732 - 0.1731, abs=5e-4)


@pytest.mark.skipif(not DAILY.exists(), reason="the data are not beside this checkout")
def test_figures_are_those_of_the_data() -> None:
    """Every shock of equities, styles, sectors, bonds and the VIX, worked out again."""
    index = pd.read_csv(DAILY / "sp500_index_close_1990_2022.csv.gz", index_col=0, parse_dates=True)["SP500"]
    vix = pd.read_csv(DAILY / "vix_ohlc_1990_2026.csv.gz", index_col=0, parse_dates=True)["CLOSE"]
    funds = pd.read_csv(DAILY / "etf18_multiasset_returns_2006_2022.csv.gz", index_col=0, parse_dates=True)
    french = pd.read_csv(DAILY / "famafrench_8factors_returns_1969_2022.csv.gz", index_col=0, parse_dates=True)
    nasdaq = pd.read_csv(DAILY / "nasdaq_ohlcv_1999_2018.csv.gz", index_col=0, parse_dates=True)["Close"]
    french = french.rename(columns={"Mkt-RF": "equity", "SMB": "small", "HML": "value", "mom": "momentum"})
    checked = 0
    for scenario in HISTORICAL:
        first, last = pd.Timestamp(scenario.first), pd.Timestamp(scenario.last)
        expected = {}
        if "fama-french" in scenario.source:
            days = french.loc[(french.index > first) & (french.index <= last)]
            compound = (1 + days).prod() - 1
            expected |= compound[["small", "value", "momentum"]].to_dict()
            if "fama-french market" in scenario.source:
                expected["equity"] = compound["equity"]
        if "sp500" in scenario.source:
            expected["equity"] = index.asof(last) / index.asof(first) - 1
        if "nasdaq" in scenario.source:
            expected["nasdaq"] = nasdaq.asof(last) / nasdaq.asof(first) - 1
        if "vix" in scenario.source:
            expected["vix"] = (vix.asof(last) - vix.asof(first)) / 100
        if "etf" in scenario.source:
            days = funds.loc[(funds.index > first) & (funds.index <= last)].rename(columns=SECTORS)
            expected |= ((1 + days).prod() - 1)[list(SECTORS.values())].to_dict()
        for name, size in expected.items():
            assert scenario.shocks[name] == pytest.approx(size, abs=6e-4), (scenario.name, name)
            checked += 1
    assert checked > 1000


def test_oil_and_credit_are_those_of_fred() -> None:
    """As `arch` ships the series: WTI by day, Moody's yields by month."""
    from arch.data import default, wti

    oil = wti.load().iloc[:, 0].dropna()
    yields = default.load() / 100
    checked = 0
    for scenario in HISTORICAL:
        first, last = pd.Timestamp(scenario.first), pd.Timestamp(scenario.last)
        if "wti" in scenario.source:
            assert scenario.shocks["oil"] == pytest.approx(oil.asof(last) / oil.asof(first) - 1, abs=6e-4)
            checked += 1
        if "moodys" in scenario.source:
            change = yields.asof(last) - yields.asof(first)
            assert scenario.shocks["rates"] == pytest.approx(change["AAA"], abs=6e-5), scenario.name
            assert scenario.shocks["credit"] == pytest.approx(change["BAA"] - change["AAA"], abs=6e-5), scenario.name
            checked += 2
    assert checked > 100


def test_scenarios_are_chosen_by_name_and_kind(tmp_path: Path) -> None:
    """A user's own come last, or in the place of one of the same name; an unknown name is an error with a hint."""
    path = tmp_path / "own.yaml"
    path.write_text(
        "- {name: mine, title: Mine, kind: hypothetical, shocks: {AAPL: -.5, equity: -0.1}, source: me}\n"
        "- {name: crash-1987, title: Other, kind: hypothetical, shocks: {equity: -1}, source: [me]}\n"
    )
    own = read_scenarios(path)
    assert own[0].shocks == {"AAPL": -0.5, "equity": -0.1}
    assert [scenario.title for scenario in choose(["mine", "crash-1987"], own)] == ["Other", "Mine"]
    assert len(choose(["all"], own)) == len(library()) + 1
    assert {scenario.kind for scenario in choose(["liquidity", "correlation"])} == {"liquidity", "correlation"}
    with pytest.raises(NotFoundError, match="did you mean crash-1987"):
        choose(["crash-1978"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x", "no list"),
        ("- [1", "no YAML"),
        ("- {name: x, title: X, kind: hypothetical, shocks: {equity: -.1}}", "lacks source"),
        ("- {name: x, title: X, kind: guess, shocks: {equity: -.1}, source: me}", "kind='guess'"),
        ("- {name: x, title: X, kind: hypothetical, source: me}", "no shocks"),
        ("- {name: x, title: X, kind: hypothetical, shocks: {equity: much}, source: me}", "no number"),
        ("- {name: x, title: X, kind: hypothetical, shocks: {equity: .nan}, source: me}", "finite"),
        ("- {name: x, title: X, kind: historical, first: 2020-01-02, source: me}", "both, rising"),
        ("- {name: x, title: X, kind: historical, first: soon, last: 2020-01-02, source: me}", "no day"),
        ("- {name: x, title: X, kind: correlation, correlation: 2, source: me}", "correlation=2"),
        ("- {name: x, title: X, kind: liquidity, shocks: {equity: 1}, source: me}", "has shocks"),
        ("- {name: x, title: X, kind: hypothetical, shock: {equity: 1}, source: me}", "has shock; allowed"),
        ("- &a {name: x, title: X, kind: hypothetical, shocks: {equity: 1}, source: me}\n- *a", "more than once"),
        ("- !!python/object/apply:os.getcwd []", "no YAML"),
    ],
)
def test_files_that_are_wrong_are_refused(tmp_path: Path, text: str, message: str) -> None:
    """The error names the scenario, the field and what is allowed; a file runs no code."""
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_scenarios(path)
    with pytest.raises(NotFoundError, match="cannot be read"):
        read_scenarios(tmp_path / "none.yaml")


def test_json_holds_what_a_kind_uses() -> None:
    """No field of another kind."""
    (scenario,) = choose(["correlation-90"])
    assert scenario.to_dict() == {
        "name": "correlation-90",
        "title": scenario.title,
        "kind": "correlation",
        "correlation": 0.9,
        "volatility": 1.0,
        "level": 0.99,
        "source": ["assumed"],
        "note": "",
    }
    assert Scenario.of(choose(["crash-1987"])[0].to_dict() | {"first": None, "last": None}).shocks["equity"] < -0.17
