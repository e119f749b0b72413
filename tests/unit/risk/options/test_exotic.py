"""Options that QuantLib prices, against published figures and limits."""

from __future__ import annotations

import numpy as np
import pytest

from risk.options.black_scholes import greeks
from risk.options.exotic import Contract, Market, exotic_greeks, exotic_price
from trader.core.errors import DataError

pytest.importorskip("QuantLib")
YEAR = Market(100.0, 0.2, 0.05, 0.02)


def test_american_puts_of_a_published_table() -> None:
    """Longstaff and Schwartz (2001), table 1, finite differences: strike 40, rate 6 %, a year.

    Theirs may be exercised 50 times a year, which is worth up to a cent less than at any time.
    """
    table = {(36, 0.2): 4.478, (36, 0.4): 7.101, (40, 0.2): 2.314, (40, 0.4): 5.312, (44, 0.2): 1.110, (44, 0.4): 3.948}
    for (spot, volatility), expected in table.items():
        found = exotic_price(Contract(40.0, 1.0, False, "american"), Market(spot, volatility, 0.06))
        assert expected - 1e-3 < found < expected + 1.2e-2


def test_american_calls_without_dividend_are_european() -> None:
    """It never pays to exercise them early, so all sensitivities are those of the closed form."""
    contract, market = Contract(110.0, 0.5, True, "american"), Market(100.0, 0.3, 0.05)
    days = round(0.5 * 365) / 365
    expected = greeks(100.0, 110.0, days, 0.3, rate=0.05)
    found = exotic_greeks([contract], [market])
    for name, tolerance in (("price", 1e-6), ("delta", 1e-5), ("gamma", 1e-4), ("vega", 1e-4), ("rho", 1e-4),
                            ("theta", 1e-2), ("vanna", 1e-3), ("volga", 1e-2)):  # fmt: skip
        assert getattr(found, name)[0] == pytest.approx(float(getattr(expected, name)), rel=tolerance, abs=1e-5), name


def test_in_and_out_make_a_plain_option() -> None:
    """Reiner and Rubinstein: a knock-in and a knock-out of one barrier add to the option without it."""
    plain = float(greeks(100.0, 100.0, 1.0, 0.2, rate=0.05, dividend=0.02).price)
    for side, barrier in (("down", 85.0), ("up", 120.0)):
        parts = [exotic_price(Contract(100.0, 1.0, True, f"{side}-{kind}", barrier), YEAR) for kind in ("in", "out")]
        assert sum(parts) == pytest.approx(plain, rel=1e-9)
        assert min(parts) > 0.0


def test_barriers_that_were_crossed() -> None:
    """A knock-out is worth nothing, a knock-in is a plain option."""
    crossed = Market(80.0, 0.2, 0.05, 0.02)
    assert exotic_price(Contract(100.0, 1.0, True, "down-out", 85.0), crossed) == 0.0
    plain = float(greeks(80.0, 100.0, 1.0, 0.2, rate=0.05, dividend=0.02).price)
    assert exotic_price(Contract(100.0, 1.0, True, "down-in", 85.0), crossed) == pytest.approx(plain, rel=1e-9)


def test_geometric_asian_closed_form() -> None:
    """Kemna and Vorst: a plain option with volatility over the root of three and an adjusted dividend."""
    found = exotic_price(Contract(100.0, 1.0, True, "asian"), YEAR)
    volatility = 0.2 / np.sqrt(3.0)
    dividend = 0.5 * (0.05 + 0.02 + 0.2**2 / 6.0)
    expected = greeks(100.0, 100.0, 1.0, volatility, rate=0.05, dividend=dividend).price
    assert found == pytest.approx(float(expected), rel=1e-6)


def test_at_expiry_they_pay() -> None:
    """Each is worth what it pays, and theta is 0."""
    market = Market(105.0, 0.2)
    styles = [("american", np.nan), ("asian", np.nan), ("up-in", 110.0), ("up-in", 104.0), ("up-out", 104.0)]
    found = exotic_greeks([Contract(100.0, 0.0, True, style, barrier) for style, barrier in styles], [market] * 5)
    assert found.price.tolist() == [5.0, 5.0, 0.0, 5.0, 0.0]
    assert found.theta.tolist() == [0.0] * 5


def test_contracts_that_cannot_be() -> None:
    """An unknown style, or a barrier option without its barrier."""
    with pytest.raises(DataError, match="style='bermudan'; allowed are european, american"):
        Contract(100.0, 1.0, True, "bermudan")
    with pytest.raises(DataError, match="barrier=nan of a down-in option"):
        Contract(100.0, 1.0, True, "down-in")
