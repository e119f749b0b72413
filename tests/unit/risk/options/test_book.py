"""Books of options: their sums, their files, and Taylor series beside revaluation."""

from __future__ import annotations

import datetime as dt
import zipfile
from pathlib import Path

import numpy as np
import pytest

from risk.options.black_scholes import price
from risk.options.book import MONEY_GREEKS, Move, OptionBook
from risk.options.files import read_options
from risk.options.implied import implied_volatility
from trader.core.errors import DataError

AS_OF = dt.date(2024, 1, 2)
ROWS = """underlying,kind,strike,expiry,quantity,spot,volatility,multiplier,rate
A,call,100,2024-07-02,10,100,0.2,100,0.05
A,put,90,2024-07-02,-5,100,0.3,100,0.05
B,put,50,2025-01-02,3,55,0.4,10,
"""
GOOG = Path(__file__).parents[5] / "shared/data/options/lean_goog_options_daily_quotes_2015.zip"


def _read(folder: Path, text: str, **options: float) -> OptionBook:
    (folder / "options.csv").write_text(text)
    return read_options(folder / "options.csv", as_of=AS_OF, **options)


def test_sensitivities_in_money_are_differences_of_the_value(tmp_path: Path) -> None:
    """Each unit is what its name says, by bumping the whole book."""
    book = _read(tmp_path, ROWS, rate=0.02)
    assert book.rate.tolist() == [0.05, 0.05, 0.02]
    total = {key: sum(sums[key] for sums in book.by_underlying().values()) for key in MONEY_GREEKS}
    assert total["value"] == pytest.approx(book.value(), rel=1e-12)

    def change(move: Move) -> float:
        return book.after(move).value() - book.value()

    step = 1e-4
    assert total["delta"] == pytest.approx((change(Move(step)) - change(Move(-step))) / (2 * step), rel=1e-6)
    gamma = (change(Move(step)) + change(Move(-step))) / step**2 / 100
    assert total["gamma"] == pytest.approx(gamma, rel=1e-4)
    up, down = change(Move(volatility=step)), change(Move(volatility=-step))
    assert total["vega"] == pytest.approx((up - down) / (2 * step) / 100, rel=1e-6)
    assert total["theta"] == pytest.approx(change(Move(days=0.01)) / 0.01, rel=1e-3)
    assert total["volga"] == pytest.approx((up + down) / step**2 / 10_000, rel=1e-3)


def test_small_moves_are_explained_and_large_ones_leave_a_rest(tmp_path: Path) -> None:
    """What the series leaves over shrinks with the third power of a move in spot."""
    book = _read(tmp_path, ROWS)
    rests = []
    for size in (0.04, 0.02):
        found = book.explain(Move(size))
        assert found.full == pytest.approx(book.after(Move(size)).value() - book.value(), rel=1e-12)
        rests.append(abs(found.full - found.approximate))
    assert rests[0] / rests[1] == pytest.approx(8.0, rel=0.25)
    both = book.explain(Move(0.01, 0.01, 1.0))
    assert both.approximate == pytest.approx(both.full, abs=0.01 * abs(both.delta))


def test_styles_may_be_mixed(tmp_path: Path) -> None:
    """A European row has the closed form though its neighbour is American, in sums and in revaluation."""
    pytest.importorskip("QuantLib")
    text = "underlying,kind,strike,years,quantity,spot,volatility,style\n" + "".join(
        f"A,put,100,1,1,100,.2,{style}\n" for style in ("", "american")
    )
    book = _read(tmp_path, text, rate=0.05)
    found = book.prices()
    assert found[0] == pytest.approx(float(price(100.0, 100.0, 1.0, 0.2, rate=0.05, is_call=False)), rel=1e-12)
    assert found[1] > found[0]
    np.testing.assert_allclose(book.greeks().price, found, rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("10,100,0.2", "10,0,0.2"), "row 1: spot is 0; a number above 0"),
        (("call", "buy"), "row 1: kind is 'buy'; allowed are c, call, p, put"),
        (("2025-01-02", "2023-01-02"), "row 3: expiry is 2023-01-02; a day from 2024-01-02 on"),
        (("strike", "k"), "strike is needed"),
        (("volatility", "sigma"), "neither volatility nor price"),
        (("0.4", ""), "row 3: volatility and price is empty"),
    ],
)
def test_rows_that_cannot_be_are_named(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    """File, row, column, value and what is allowed."""
    with pytest.raises(DataError, match=message):
        _read(tmp_path, ROWS.replace(*change))


def test_prices_become_volatilities(tmp_path: Path) -> None:
    """A file with prices is valued at their implied volatilities, and an impossible price is refused."""
    observed = float(price(100.0, 110.0, 1.0, 0.35))
    text = "underlying,kind,strike,years,quantity,spot,price\nA,call,110,1,1,100,{}\n"
    assert _read(tmp_path, text.format(observed)).volatility[0] == pytest.approx(0.35, rel=1e-9)
    with pytest.raises(DataError, match="row 1: price is 101; no volatility gives that"):
        _read(tmp_path, text.format(101))


def test_real_quotes_have_volatilities() -> None:
    """GOOG, 2015-12-24: nearly all mid prices imply one, and calls and puts of a strike agree on it."""
    if not GOOG.exists():
        pytest.skip("../shared/data is absent")
    spot, quotes = 748.4, []
    with zipfile.ZipFile(GOOG) as archive:
        for name in archive.namelist():
            day = archive.read(name).decode().splitlines()[-1].split(",")
            *_, kind, strike, expiry = name.removesuffix(".csv").split("_")
            bid, ask = float(day[4] or 0) / 1e4, float(day[9] or 0) / 1e4
            years = (dt.datetime.strptime(expiry, "%Y%m%d").date() - dt.date(2015, 12, 24)).days / 365
            if day[0].startswith("20151224") and bid > 0.5 and years > 0:
                quotes.append((kind == "call", int(strike) / 1e4, years, (bid + ask) / 2))
    is_call, strikes, years, mid = np.array(quotes).T
    found = implied_volatility(mid, spot, strikes, years, rate=0.005, is_call=is_call == 1)
    assert np.isfinite(found).sum() > 0.9 * len(quotes) > 500
    near = np.abs(strikes / spot - 1) < 0.05
    calls, puts = (
        {(k, t): v for k, t, v in zip(strikes[w], years[w], found[w], strict=True)}
        for w in (near & (is_call == 1), near & (is_call == 0))
    )
    both = np.array([(calls[key], puts[key]) for key in calls.keys() & puts.keys()])
    assert np.median(np.abs(both[:, 0] - both[:, 1])) < 0.01
    assert 0.15 < np.median(both) < 0.35
