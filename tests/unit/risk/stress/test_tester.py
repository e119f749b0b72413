"""Scenarios over portfolios: replays against prices, proxies against statsmodels, and nothing taken as zero."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm

from risk.panel import ReturnPanel
from risk.stress import ReturnHistory, Scenario, StressTester, choose, fit_proxy, library, read_history, worst_first
from trader.cli.risk.common import demo_panel
from trader.core.errors import DataError
from trader.data.datasets import sp500_bars

DAYS = np.arange("2019-01-01", "2020-12-31", dtype="datetime64[D]")
RNG = np.random.default_rng(6)
FACTORS = RNG.normal(0.0, 0.01, (len(DAYS), 2))
BETAS = np.array([[1.2, 0.0], [0.5, -3.0]])
NOISE = RNG.normal(0.0, 0.002, (len(DAYS), 2))
HISTORY = ReturnHistory.of(["A", "B"], FACTORS @ BETAS.T + NOISE, DAYS)
KNOWN = ReturnHistory.of(["equity", "rates"], FACTORS, DAYS)
WEIGHTS = {"A": 0.6, "B": -0.2}


def _scenario(shocks: dict[str, float], first: str | None = None, last: str | None = None) -> Scenario:
    return Scenario(
        "x",
        "X",
        "historical" if first else "hypothetical",
        shocks,
        None if first is None else dt.date.fromisoformat(first),
        None if last is None else dt.date.fromisoformat(last),
        ("me",),
    )


@pytest.fixture(scope="module")
def demo() -> ReturnHistory:
    """Twenty stocks, 1990 to 2022."""
    return ReturnHistory.of_panel(demo_panel())


def test_replays_are_what_prices_did(demo: ReturnHistory) -> None:
    """P&L and drawdown of held shares over the pandemic, from prices alone."""
    (scenario,) = choose(["covid-2020"])
    weights = dict.fromkeys(demo.names, 1 / 20)
    found = StressTester(demo, weights).run(scenario)
    bars, universe = sp500_bars()
    closes = bars.close.reshape(-1, len(universe.symbols))
    days = bars.ts_ns.reshape(closes.shape)[:, 0].astype("datetime64[ns]").astype("datetime64[D]")
    inside = closes[(days >= np.datetime64("2020-02-19")) & (days <= np.datetime64("2020-03-23"))]
    value = (inside / inside[0]).mean(axis=1)
    assert found.pnl == pytest.approx(value[-1] - 1, rel=1e-12)
    assert found.drawdown == pytest.approx((1 - value / np.maximum.accumulate(value)).max(), rel=1e-12)
    assert {impact.how for impact in found.impacts} == {"replay"}
    assert math.fsum(impact.contribution for impact in found.impacts) == pytest.approx(found.pnl, rel=1e-12)
    assert [impact.contribution for impact in found.impacts] == sorted(impact.contribution for impact in found.impacts)
    assert found.unused == ()


def test_an_asset_that_came_later_is_proxied_and_said(demo: ReturnHistory) -> None:
    """AMD without returns before 2010 moves in 2008 as its regression on the index says, day by day."""
    returns = demo.returns.copy()
    young = demo.days < np.datetime64("2010-01-01")
    returns[np.ix_(young, [demo.names.index("AMD")])] = np.nan
    tester = StressTester(ReturnHistory.of(demo.names, returns, demo.days), {"AMD": 0.5, "JPM": 0.5})
    (scenario,) = choose(["autumn-2008"])
    found = tester.run(scenario)
    how = {impact.asset: impact.how for impact in found.impacts}
    assert how == {"AMD": "proxy", "JPM": "replay"}
    (proxy,) = found.proxies
    index = tester.factors.column("equity")
    ours = sm.OLS(demo.column("AMD")[~young], sm.add_constant(index[~young])).fit()
    assert proxy.coefficients == pytest.approx(ours.params[1:], rel=1e-9)
    assert proxy.r2 == pytest.approx(ours.rsquared, rel=1e-9)
    assert proxy.n == int((~young).sum())
    window = (demo.days > np.datetime64("2008-09-12")) & (demo.days <= np.datetime64("2008-11-20"))
    change = {impact.asset: impact.change for impact in found.impacts}
    assert change["AMD"] == pytest.approx(np.prod(1 + ours.params[1] * index[window]) - 1, rel=1e-9)
    assert 0.3 < found.drawdown < 0.6


def test_shocks_move_assets_by_regressions_on_them() -> None:
    """As statsmodels finds: on both factors, or on the one that is moved, whose partner is then as it usually is."""
    tester = StressTester(HISTORY, WEIGHTS, KNOWN)
    both = tester.run(_scenario({"equity": -0.2, "rates": 0.02}))
    for impact in both.impacts:
        fit = sm.OLS(HISTORY.column(impact.asset), sm.add_constant(FACTORS)).fit()
        assert impact.change == pytest.approx(fit.params[1:] @ [-0.2, 0.02], rel=1e-9)
        assert impact.how == "factors"
    assert both.pnl == pytest.approx(0.6 * 1.2 * -0.2 - 0.2 * (0.5 * -0.2 - 3 * 0.02), abs=0.003)
    assert math.isnan(both.drawdown)
    one = tester.run(_scenario({"equity": -0.2, "oil": 0.5}))
    fit = sm.OLS(HISTORY.column("B"), sm.add_constant(FACTORS[:, 0])).fit()
    assert {impact.asset: impact.change for impact in one.impacts}["B"] == pytest.approx(-0.2 * fit.params[1], rel=1e-9)
    assert one.unused == ("oil",)


def test_regressions_that_explain_nothing_are_said() -> None:
    """A factor that has nothing to do with the assets."""
    noise = ReturnHistory.of(["gold"], RNG.normal(0, 0.01, (len(DAYS), 1)), DAYS)
    found = StressTester(HISTORY, WEIGHTS, noise).run(_scenario({"gold": 0.2}))
    assert all(proxy.r2 < 0.05 for proxy in found.proxies)
    assert any("less than 5% of A, B" in warning for warning in found.warnings)


def test_what_a_scenario_says_of_an_asset_comes_first() -> None:
    """And needs no regression."""
    found = StressTester(HISTORY, WEIGHTS, KNOWN).run(_scenario({"A": -0.9, "equity": -0.1}))
    assert {impact.asset: impact.how for impact in found.impacts} == {"A": "given", "B": "factors"}
    assert {impact.asset: impact.change for impact in found.impacts}["A"] == -0.9
    assert found.unused == ()


def test_nothing_known_is_never_zero() -> None:
    """No factor is there: no P&L. An asset that is too young for a regression: listed, and said not to be counted."""
    nothing = StressTester(HISTORY, WEIGHTS, KNOWN).run(_scenario({"oil": -0.5}))
    assert not nothing.applies
    assert nothing.unshocked == ("A", "B")
    assert nothing.unused == ("oil",)
    returns = HISTORY.returns.copy()
    returns[:-20, 1] = np.nan
    young = StressTester(ReturnHistory.of(["A", "B"], returns, DAYS), WEIGHTS, KNOWN).run(_scenario({"equity": -0.1}))
    assert young.unshocked == ("B",)
    assert young.pnl == pytest.approx(0.6 * -0.12, abs=0.002)
    assert any("20 periods in common" in warning for warning in young.warnings)
    assert any("B: nothing known, not counted" in warning for warning in young.warnings)
    assert worst_first([nothing, young]) == [young, nothing]
    assert young.to_dict()["unshocked"] == ["B"]


def test_nothing_loses_more_than_all() -> None:
    """A proxied return below -100 % is cut, and said."""
    found = StressTester(HISTORY, {"A": 1.0}, KNOWN).run(_scenario({"equity": -0.9}))
    assert found.pnl == -1.0
    assert any("cannot lose more than all" in warning for warning in found.warnings)


def test_windows_must_be_covered() -> None:
    """Holidays within three days are; ends of the history, gaps and monthly data are not."""
    assert HISTORY.window(dt.date(2019, 5, 1), dt.date(2019, 5, 3)) == slice(121, 123)
    assert HISTORY.window(dt.date(2018, 12, 31), dt.date(2019, 5, 3)) is None
    assert HISTORY.window(dt.date(2020, 12, 1), dt.date(2021, 2, 1)) is None
    months = np.arange("2019-01", "2020-12", dtype="datetime64[M]").astype("datetime64[D]")
    monthly = ReturnHistory.of(["A"], np.zeros((len(months), 1)), months)
    assert monthly.window(dt.date(2019, 5, 1), dt.date(2019, 8, 1)) is None
    weekdays = DAYS[np.is_busday(DAYS)]
    history = ReturnHistory.of(["A"], np.zeros((len(weekdays), 1)), weekdays)
    assert history.window(dt.date(2019, 5, 5), dt.date(2019, 5, 12)) == slice(
        *np.searchsorted(weekdays, np.array(["2019-05-06", "2019-05-11"], "datetime64[D]"))
    )


def test_the_library_runs_and_says_what_it_lacks(demo: ReturnHistory) -> None:
    """With the index alone: all of 1990 to 2022 is replayed, the rest by regression, and some do not apply."""
    results = StressTester(demo, dict.fromkeys(demo.names, 1 / 20)).run_all(library())
    by_name = {result.scenario.name: result for result in results}
    for result in results:
        scenario = result.scenario
        if scenario.first is not None and scenario.first >= dt.date(1990, 1, 3) and scenario.first.year <= 2022:
            assert {impact.how for impact in result.impacts} == {"replay"}, scenario.name
        if result.applies and scenario.kind in ("historical", "hypothetical"):
            assert result.unshocked == ()
    assert by_name["crash-1987"].pnl == pytest.approx(-0.17, abs=0.03)
    assert not by_name["rates-up-100"].applies
    assert by_name["correlation-100"].pnl < by_name["correlation-50"].pnl < 0
    assert by_name["liquidity-50"].pnl == pytest.approx(-0.0025)


def test_collinear_factors_share() -> None:
    """The same factor twice halves the coefficient, and explains what one does."""
    twice = ReturnHistory.of(["x", "y"], FACTORS[:, [0, 0]], DAYS)
    one = fit_proxy(HISTORY, "A", KNOWN, ["equity"])
    both = fit_proxy(HISTORY, "A", twice, ["x", "y"])
    assert both.coefficients == pytest.approx((one.coefficients[0] / 2,) * 2, rel=1e-6)
    assert both.r2 == pytest.approx(one.r2)


def test_histories_come_from_files_with_gaps(tmp_path: Path) -> None:
    """Empty cells stay unknown: returns before the first price of an asset, and round a missing one."""
    path = tmp_path / "prices.csv"
    path.write_text("date,A,B\n2020-01-01,100,\n2020-01-02,110,50\n2020-01-03,,55\n2020-01-06,121,44\n")
    history = read_history(path, prices=True)
    np.testing.assert_allclose(history.returns, [[0.1, np.nan], [np.nan, 0.1], [np.nan, -0.2]])
    assert history.days.tolist() == [dt.date(2020, 1, 2), dt.date(2020, 1, 3), dt.date(2020, 1, 6)]
    path.write_text("date,A\n2020-01-01,100\n2020-01-02,-1\n")
    with pytest.raises(DataError, match="prices hold -1"):
        read_history(path, prices=True)


def test_portfolios_that_cannot_be_tested_are_refused() -> None:
    """Unknown assets, no weights, volumes without a value or for some assets only."""
    with pytest.raises(DataError, match="weights name C"):
        StressTester(HISTORY, {"C": 1.0}, KNOWN)
    with pytest.raises(DataError, match="at least one"):
        StressTester(HISTORY, {"A": 0.0}, KNOWN)
    with pytest.raises(DataError, match="together"):
        StressTester(HISTORY, WEIGHTS, KNOWN, volumes={"A": 1.0, "B": 1.0})
    tester = StressTester(HISTORY, WEIGHTS, KNOWN, volumes={"A": 1.0}, value=10.0)
    with pytest.raises(DataError, match="volumes lack B"):
        tester.run(choose(["liquidity-50"])[0])
    for names, returns, days, message in (
        (["A"], [[0.1, 0.2]], ["2020-01-01"], "shape"),
        (["A", "A"], [[0.1, 0.2]], ["2020-01-01"], "more than once"),
        (["A"], [[np.inf]], ["2020-01-01"], "infinities"),
        (["A"], [[0.1], [0.1]], ["2020-01-02", "2020-01-02"], "rise"),
    ):
        with pytest.raises(DataError, match=message):
            ReturnHistory.of(names, returns, days)


def test_panels_become_histories() -> None:
    """Days from stamps."""
    panel = ReturnPanel.of(["A"], [[0.1], [0.2]], ["2020-01-01T21:00", "2020-01-02T21:00"])
    assert ReturnHistory.of_panel(panel).days.tolist() == [dt.date(2020, 1, 1), dt.date(2020, 1, 2)]
