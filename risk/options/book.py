"""A book of option positions: its sensitivities in money, and what moves of the market would do to it."""

from __future__ import annotations

import dataclasses
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from risk.options.black_scholes import Greeks, greeks, price
from risk.options.exotic import Contract, Market, exotic_greeks, exotic_price
from trader.core.errors import DataError

__all__ = ["MONEY_GREEKS", "ExplainedMove", "Move", "OptionBook"]

FloatArray = NDArray[np.float64]
_YEAR_DAYS = 365.0
_FIELDS = tuple(field.name for field in dataclasses.fields(Greeks))
MONEY_GREEKS = ("value", "delta", "gamma", "vega", "theta", "rho", "vanna", "volga")
"""Sensitivities of positions, all in currency: value; delta times spot; its change when spot rises 1 %; change of value
when volatility rises a point, a calendar day passes, rates rise a basis point; change of delta times spot, and of
vega, when volatility rises a point."""


@dataclasses.dataclass(frozen=True, slots=True)
class Move:
    """A change of the market, the same for all underlyings.

    Parameters
    ----------
    spot : float
        Relative change of spot prices, above -1.
    volatility : float
        Absolute change of volatilities; none falls below .0001.
    days : float
        Calendar days that pass.
    """

    spot: float = 0.0
    volatility: float = 0.0
    days: float = 0.0

    def __post_init__(self) -> None:
        if not self.spot > -1.0:
            raise DataError(f"spot={self.spot}; a relative change above -1 is needed")
        if not self.days >= 0.0:
            raise DataError(f"days={self.days}; 0 or more is needed")


@dataclasses.dataclass(frozen=True, slots=True)
class ExplainedMove:
    """What a move does to a book in currency, term by term of a Taylor series, and by pricing it anew.

    Parameters
    ----------
    delta, gamma, vega, theta : float
        First order in spot, second in spot, first in volatility, first in time.
    cross : float
        Vanna and volga: spot with volatility, and second order in volatility.
    approximate : float
        The sum of the above.
    full : float
        Difference of the values before and after.
    """

    move: Move
    delta: float
    gamma: float
    vega: float
    theta: float
    cross: float
    full: float

    @property
    def approximate(self) -> float:
        """The sum of the terms."""
        return self.delta + self.gamma + self.vega + self.theta + self.cross

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return dataclasses.asdict(self) | {"approximate": self.approximate}


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class OptionBook:
    """Positions in options and the market they are valued at; every array has shape (n_positions,).

    Parameters
    ----------
    underlying : tuple of str
    is_call : ndarray of bool
    strike, years, quantity, multiplier : ndarray
        `quantity` counts contracts, negative for short ones; `multiplier` is units of the underlying a contract.
    spot, volatility, rate, dividend : ndarray
        As in `risk.options.black_scholes.greeks`.
    style : tuple of str
        One of `risk.options.exotic.STYLES` each; all but `european` need QuantLib.
    barrier : ndarray
        NaN where there is none.
    """

    underlying: tuple[str, ...]
    is_call: NDArray[np.bool_]
    strike: FloatArray
    years: FloatArray
    quantity: FloatArray
    multiplier: FloatArray
    spot: FloatArray
    volatility: FloatArray
    rate: FloatArray
    dividend: FloatArray
    style: tuple[str, ...]
    barrier: FloatArray

    def __len__(self) -> int:
        return len(self.underlying)

    def with_spots(self, spots: dict[str, float]) -> Self:
        """Return the book at other spot prices; an underlying that is not among them keeps its own."""
        values = [spots.get(name, old) for name, old in zip(self.underlying, self.spot.tolist(), strict=True)]
        return dataclasses.replace(self, spot=np.array(values))

    def after(self, move: Move) -> Self:
        """Return the book after a move."""
        return dataclasses.replace(
            self,
            spot=self.spot * (1.0 + move.spot),
            volatility=np.maximum(self.volatility + move.volatility, 1e-4),
            years=np.maximum(self.years - move.days / _YEAR_DAYS, 0.0),
        )

    def greeks(self) -> Greeks:
        """Return price and sensitivities of one unit of each position."""
        plain = self._plain
        out = np.empty((len(_FIELDS), len(self)))
        if plain.any():
            found = greeks(**self._arguments(plain))
            out[:, plain] = [getattr(found, name) for name in _FIELDS]
        if not plain.all():
            found = exotic_greeks(*zip(*(self._exotic(i) for i in np.flatnonzero(~plain).tolist()), strict=True))
            out[:, ~plain] = [getattr(found, name) for name in _FIELDS]
        return Greeks(*out)

    def prices(self) -> FloatArray:
        """Return the price of one unit of each position."""
        plain = self._plain
        out = np.empty(len(self))
        out[plain] = price(**self._arguments(plain))
        for i in np.flatnonzero(~plain).tolist():
            out[i] = exotic_price(*self._exotic(i))
        return out

    def money(self, found: Greeks | None = None) -> dict[str, FloatArray]:
        """Return `MONEY_GREEKS` of each position, in currency."""
        g = found or self.greeks()
        units = self.quantity * self.multiplier
        return {
            "value": units * g.price,
            "delta": units * g.delta * self.spot,
            "gamma": units * g.gamma * self.spot**2 / 100.0,
            "vega": units * g.vega / 100.0,
            "theta": units * g.theta / _YEAR_DAYS,
            "rho": units * g.rho / 10_000.0,
            "vanna": units * g.vanna * self.spot / 100.0,
            "volga": units * g.volga / 10_000.0,
        }

    def by_underlying(self) -> dict[str, dict[str, float]]:
        """Return the sums of `MONEY_GREEKS` of each underlying, in order of first appearance."""
        money = self.money()
        names = list(dict.fromkeys(self.underlying))
        row = np.array([names.index(name) for name in self.underlying], np.intp)
        sums = {key: np.bincount(row, values, len(names)).tolist() for key, values in money.items()}
        return {name: {key: sums[key][i] for key in MONEY_GREEKS} for i, name in enumerate(names)}

    def value(self) -> float:
        """Return what the book is worth, in currency."""
        return float(np.sum(self.quantity * self.multiplier * self.prices()))

    def explain(self, move: Move) -> ExplainedMove:
        """Return what a move would do to the book, by its sensitivities and by full revaluation."""
        g = self.greeks()
        units = self.quantity * self.multiplier
        after = self.after(move)
        rise, change, years = after.spot - self.spot, after.volatility - self.volatility, self.years - after.years
        return ExplainedMove(
            move,
            delta=float(np.sum(units * g.delta * rise)),
            gamma=float(np.sum(units * g.gamma * rise**2) / 2.0),
            vega=float(np.sum(units * g.vega * change)),
            theta=float(np.sum(units * g.theta * years)),
            cross=float(np.sum(units * (g.vanna * rise * change + g.volga * change**2 / 2.0))),
            full=after.value() - float(np.sum(units * g.price)),
        )

    @property
    def _plain(self) -> NDArray[np.bool_]:
        return np.array([style == "european" for style in self.style], np.bool_)

    def _arguments(self, chosen: NDArray[np.bool_]) -> dict[str, Any]:
        names = ("spot", "strike", "years", "volatility", "rate", "dividend", "is_call")
        return {name: getattr(self, name)[chosen] for name in names}

    def _exotic(self, i: int) -> tuple[Contract, Market]:
        contract = Contract(
            float(self.strike[i]), float(self.years[i]), bool(self.is_call[i]), self.style[i], float(self.barrier[i])
        )
        market = Market(float(self.spot[i]), float(self.volatility[i]), float(self.rate[i]), float(self.dividend[i]))
        return contract, market
