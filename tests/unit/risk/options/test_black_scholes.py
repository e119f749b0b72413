"""Prices and sensitivities of European options, against other libraries and published examples."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import QuantLib as ql  # noqa: N813 - the name that its own documentation uses
from hypothesis import given, settings
from hypothesis import strategies as st
from vollib.black_scholes_merton.greeks import analytical

from risk.options.black_scholes import Greeks, greeks, price
from risk.options.implied import implied_volatility
from trader.core.errors import DataError


def _options(n: int, seed: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "spot": rng.uniform(50, 150, n),
        "strike": rng.uniform(50, 150, n),
        "years": rng.uniform(0.02, 3, n),
        "volatility": rng.uniform(0.05, 1, n),
        "rate": rng.uniform(-0.02, 0.08, n),
        "dividend": rng.uniform(0, 0.06, n),
        "is_call": rng.random(n) < 0.5,
    }


def test_agrees_with_quantlib() -> None:
    """Price, delta, gamma, vega, theta and rho of its Black calculator; vanna and volga by differences of it."""
    options = _options(300)
    found = greeks(**options)
    rows = zip(*(options[name].tolist() for name in options), strict=True)
    for i, (spot, strike, years, vol, rate, dividend, call) in enumerate(rows):

        def black(
            s: float,
            v: float,
            *,
            k: float = strike,
            t: float = years,
            r: float = rate,
            q: float = dividend,
            c: bool = call,
        ) -> ql.BlackCalculator:
            payoff = ql.PlainVanillaPayoff(ql.Option.Call if c else ql.Option.Put, k)
            return ql.BlackCalculator(payoff, s * np.exp((r - q) * t), v * np.sqrt(t), np.exp(-r * t))

        at, up, down = black(spot, vol), black(spot, vol + 1e-4), black(spot, vol - 1e-4)
        expected = (
            at.value(), at.delta(spot), at.gamma(spot), at.vega(years), at.theta(spot, years), at.rho(years),
            (up.delta(spot) - down.delta(spot)) / 2e-4, (up.vega(years) - down.vega(years)) / 2e-4,
        )  # fmt: skip
        actual = [getattr(found, field.name)[i] for field in dataclasses.fields(Greeks)]
        np.testing.assert_allclose(actual[:6], expected[:6], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(actual[6:], expected[6:], rtol=1e-4, atol=1e-5)


def test_agrees_with_vollib() -> None:
    """Its analytical Greeks, in its units: a volatility point, a day, a percent of interest."""
    options = _options(50, seed=4)
    found = greeks(**options)
    for i in range(50):
        spot, strike, years, vol, rate, dividend, call = (options[name][i].item() for name in options)
        arguments = ("c" if call else "p", spot, strike, years, rate, vol, dividend)
        for name, unit in (("delta", 1.0), ("gamma", 1.0), ("vega", 100.0), ("theta", 365.0), ("rho", 100.0)):
            expected = getattr(analytical, name)(*arguments)
            assert getattr(found, name)[i] / unit == pytest.approx(expected, rel=1e-7, abs=1e-9), name


def test_published_examples() -> None:
    """Haug (2007), *The Complete Guide to Option Pricing Formulas*, pages 4, 27 and 41 ff."""
    index_put = greeks(100.0, 95.0, 0.5, 0.2, rate=0.10, dividend=0.05, is_call=False)
    assert index_put.price == pytest.approx(2.4648, abs=5e-5)
    futures_call = greeks(105.0, 100.0, 0.5, 0.36, rate=0.10, dividend=0.10)
    assert futures_call.delta == pytest.approx(0.5946, abs=5e-5)
    gamma = greeks(55.0, 60.0, 0.75, 0.30, rate=0.10)
    assert gamma.gamma == pytest.approx(0.0278, abs=5e-5)
    vega = greeks(55.0, 60.0, 0.75, 0.30, rate=0.105, dividend=0.0355)
    assert vega.vega == pytest.approx(18.5027, abs=5e-5)


@settings(max_examples=50, deadline=None)
@given(
    st.floats(1, 1e4), st.floats(0.3, 3.0), st.floats(0.01, 5), st.floats(0.02, 2), st.floats(-0.05, 0.2),
    st.floats(0, 0.2),
)  # fmt: skip
def test_put_call_parity(spot: float, ratio: float, years: float, vol: float, rate: float, dividend: float) -> None:
    """C - P is the forward's present value; the differences of the Greeks follow; prices keep their bounds."""
    strike = spot * ratio
    both = greeks(spot, strike, years, vol, rate=rate, dividend=dividend, is_call=[True, False])
    call, put = both.price
    stock, bond = spot * np.exp(-dividend * years), strike * np.exp(-rate * years)
    assert call - put == pytest.approx(stock - bond, abs=1e-9 * spot * max(ratio, 1))
    assert both.delta[0] - both.delta[1] == pytest.approx(np.exp(-dividend * years), rel=1e-9)
    assert both.gamma[0] == pytest.approx(both.gamma[1], rel=1e-12)
    assert max(stock - bond, 0) <= call * (1 + 1e-12) + 1e-9 * spot
    assert call <= stock * (1 + 1e-12)


def test_limits_without_time_or_volatility() -> None:
    """The price is what exercise for certain is worth; nothing divides by zero."""
    found = greeks([110.0, 90.0, 100.0, 110.0], 100.0, [0.0, 0.0, 0.0, 1.0], [0.2, 0.2, 0.2, 0.0])
    assert found.price.tolist() == [10.0, 0.0, 0.0, 10.0]
    assert found.delta.tolist() == [1.0, 0.0, 0.5, 1.0]
    for name in ("gamma", "vega", "vanna", "volga"):
        assert getattr(found, name).tolist() == [0.0] * 4
    assert np.isfinite(found.theta).all()
    assert np.isnan(greeks(100.0, 100.0, np.nan, 0.2).price)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"spot": 0.0}, "spot holds 0; positive"), ({"strike": -1.0}, "strike holds -1"), ({"years": -0.1}, "years"),
     ({"volatility": -0.2}, "volatility"), ({"spot": np.inf}, "finite")],
)  # fmt: skip
def test_impossible_inputs_are_refused(change: dict[str, float], message: str) -> None:
    """The argument, its value and what is allowed."""
    with pytest.raises(DataError, match=message):
        greeks(**({"spot": 100.0, "strike": 100.0, "years": 1.0, "volatility": 0.2} | change))


def test_implied_volatility_is_the_inverse() -> None:
    """To twelve digits wherever a price knows its volatility that well; where it does not, the price is met."""
    options = _options(20_000, seed=5)
    volatility = options.pop("volatility")
    observed = price(**options, volatility=volatility)
    found = implied_volatility(observed, **options)
    assert not np.isnan(found).any()
    again = greeks(**options, volatility=found)
    np.testing.assert_allclose(again.price, observed, rtol=1e-13, atol=1e-13 * 150)
    told = again.vega > 1e-3 * options["spot"]
    assert told.mean() > 0.7
    np.testing.assert_allclose(found[told], volatility[told], rtol=1e-10)


def test_implied_volatility_far_out_of_the_money() -> None:
    """A price of 1e-250 is solved for as exactly as one of 10."""
    strikes = np.array([100.0, 200.0, 1_000.0, 3_000.0])
    observed = price(100.0, strikes, 0.25, 0.2)
    assert observed[-1] < 1e-250
    np.testing.assert_allclose(implied_volatility(observed, 100.0, strikes, 0.25), 0.2, rtol=1e-9)


def test_prices_without_a_volatility_have_none() -> None:
    """Below the intrinsic value, at or above the asset's, without time; the intrinsic value itself has none left."""
    found = implied_volatility([9.0, 101.0, 5.0, 10.0, np.nan], [110, 100, 100, 110, 100], 100.0, [1, 1, 0, 1, 1])
    assert np.isnan(found).tolist() == [True, True, True, False, True]
    assert found[3] == 0.0
