"""American, barrier and Asian options, priced by QuantLib (the optional extra `options`)."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk.options.black_scholes import Greeks
from trader.core.errors import DataError
from trader.models.extras import optional

__all__ = ["STYLES", "Contract", "Market", "exotic_greeks", "exotic_price"]

FloatArray = NDArray[np.float64]
_BARRIERS = {"down-out": "DownOut", "down-in": "DownIn", "up-out": "UpOut", "up-in": "UpIn"}
STYLES = ("european", "american", "asian", *_BARRIERS)
"""`asian` pays on the geometric mean from now to expiry, watched all the time, as barriers are; barriers pay no
rebate and are exercised at expiry."""
_DAYS = 365
_SPOT_STEP, _RATE_STEP, _VOLATILITY_STEP = 1e-3, 1e-4, 1e-3


@dataclasses.dataclass(frozen=True, slots=True)
class Contract:
    """One option.

    Parameters
    ----------
    strike : float
    years : float
        To expiry; rounded to whole days of 1/365.
    is_call : bool
    style : str
        One of `STYLES`.
    barrier : float, default=nan
        Its level, for a style that has one.
    """

    strike: float
    years: float
    is_call: bool
    style: str
    barrier: float = float("nan")

    def __post_init__(self) -> None:
        if self.style not in STYLES:
            raise DataError(f"style={self.style!r}; allowed are {', '.join(STYLES)}")
        if self.style in _BARRIERS and not self.barrier > 0.0:
            raise DataError(f"barrier={self.barrier} of a {self.style} option; a positive price is needed")


@dataclasses.dataclass(frozen=True, slots=True)
class Market:
    """Spot price, annual volatility, and continuously compounded rates."""

    spot: float
    volatility: float
    rate: float = 0.0
    dividend: float = 0.0


def exotic_price(contract: Contract, market: Market) -> float:
    """Return the price of one option; at expiry, or behind its barrier, what it is worth then.

    American options by Andersen, Lake and Offengenden's fixed point (2016), barriers by Reiner and Rubinstein (1991),
    Asian ones by Kemna and Vorst (1990).

    Raises
    ------
    ModelError
        If QuantLib is not installed.
    """
    return _price(contract, market, round(contract.years * _DAYS))


def exotic_greeks(contracts: Sequence[Contract], markets: Sequence[Market]) -> Greeks:
    """Return prices and central differences of them, every field of shape (n_options,).

    Steps are .1 % of spot, .1 volatility points, a basis point of rate and a day of time; across a barrier, differences
    are those of a function with a kink. A contract on its last day has theta 0.
    """
    rows = np.array([_row(c, m) for c, m in zip(contracts, markets, strict=True)], np.float64).reshape(-1, 8)
    return Greeks(*rows.T)


def _row(contract: Contract, market: Market) -> tuple[float, ...]:
    days = round(contract.years * _DAYS)
    step = market.spot * _SPOT_STEP
    wide = _VOLATILITY_STEP

    def at(spot: float = 0.0, volatility: float = 0.0, rate: float = 0.0, passed: int = 0) -> float:
        moved = Market(market.spot + spot, market.volatility + volatility, market.rate + rate, market.dividend)
        return _price(contract, moved, days - passed)

    here, up, down = at(), at(step), at(-step)
    livelier, calmer = at(volatility=wide), at(volatility=-wide)
    corners = [sign * other * at(sign * step, other * wide) for sign, other in itertools.product((1, -1), (1, -1))]
    return (
        here,
        (up - down) / (2.0 * step),
        (up - 2.0 * here + down) / step**2,
        (livelier - calmer) / (2.0 * wide),
        (at(passed=1) - here) * _DAYS if days > 0 else 0.0,
        (at(rate=_RATE_STEP) - at(rate=-_RATE_STEP)) / (2.0 * _RATE_STEP),
        sum(corners) / (4.0 * step * wide),
        (livelier - 2.0 * here + calmer) / wide**2,
    )


def _price(contract: Contract, market: Market, days: int) -> float:
    sign = 1.0 if contract.is_call else -1.0
    beyond = _beyond(contract, market.spot)
    if contract.style.endswith("-out") and beyond:
        return 0.0
    if days <= 0:
        never_in = contract.style.endswith("-in") and not beyond
        return 0.0 if never_in else max(sign * (market.spot - contract.strike), 0.0)
    ql = optional("QuantLib", "options")
    today = ql.Settings.instance().evaluationDate
    process, expiry = _process(ql, today, market), today + days
    payoff = ql.PlainVanillaPayoff(ql.Option.Call if contract.is_call else ql.Option.Put, contract.strike)
    exercise = ql.EuropeanExercise(expiry)
    if contract.style == "american":
        option = ql.VanillaOption(payoff, ql.AmericanExercise(today, expiry))
        engine = ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.accurateScheme())
    elif contract.style == "asian":
        option = ql.ContinuousAveragingAsianOption(ql.Average.Geometric, payoff, exercise)
        engine = ql.AnalyticContinuousGeometricAveragePriceAsianEngine(process)
    elif contract.style in _BARRIERS and not beyond:
        kind = getattr(ql.Barrier, _BARRIERS[contract.style])
        option = ql.BarrierOption(kind, contract.barrier, 0.0, payoff, exercise)
        engine = ql.AnalyticBarrierEngine(process)
    else:  # plain, or knocked in already
        option, engine = ql.VanillaOption(payoff, exercise), ql.AnalyticEuropeanEngine(process)
    option.setPricingEngine(engine)
    return float(option.NPV())


def _beyond(contract: Contract, spot: float) -> bool:
    side: dict[str, Callable[[float, float], bool]] = {"down": float.__le__, "up": float.__ge__}
    test = side.get(contract.style.split("-")[0])
    return test is not None and test(float(spot), float(contract.barrier))


def _process(ql: Any, today: Any, market: Market) -> Any:
    count, never = ql.Actual365Fixed(), ql.NullCalendar()
    flat = [ql.YieldTermStructureHandle(ql.FlatForward(today, r, count)) for r in (market.dividend, market.rate)]
    volatility = ql.BlackVolTermStructureHandle(ql.BlackConstantVol(today, never, market.volatility, count))
    return ql.BlackScholesMertonProcess(ql.QuoteHandle(ql.SimpleQuote(market.spot)), *flat, volatility)
