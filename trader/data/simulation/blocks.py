"""Bars of consecutive days, drawn at once for all symbols."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from trader.data.simulation.law import IMBALANCE_STD, DayShape, MarketLaw, SymbolLaw

__all__ = ["Block", "BlockState", "bridge_extremes", "draw_block"]

FloatArray = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True)
class BlockState:
    """What one block hands to the next: log prices and the last signal, each of shape (n_symbols,)."""

    log_price: FloatArray
    signal: FloatArray


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """The bars of some days as arrays of shape (n_instants, n_symbols), and the state at their end.

    `expected` is the mean log return of each bar given everything before it.
    """

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    vwap: FloatArray
    buy_volume: FloatArray
    spread: FloatArray
    n_trades: NDArray[np.int64]
    expected: FloatArray
    end: BlockState


def draw_block(
    rng: np.random.Generator,
    begin: BlockState,
    multipliers: FloatArray,
    *,
    market: MarketLaw,
    symbols: SymbolLaw,
    day: DayShape,
    planted_ic: float,
) -> Block:
    """Draw the days whose volatility is multiplied by `multipliers`, shape (n_days,).

    The log return of a bar is ``drift + s (rho z + sqrt(1 - rho^2) x)``: `s` is the symbol's volatility in that part
    of the day, `z` the signal (standardised buy-volume imbalance) of the bar before, `x` a shock of mean zero and
    variance one.
    """
    n_days, n_bars, n_symbols = multipliers.size, day.variance_share.size, begin.log_price.size
    shape = (n_days * n_bars, n_symbols)
    share = np.tile(day.variance_share, n_days)[:, None]
    scale = symbols.daily_volatility * np.sqrt(share)
    regime = np.repeat(multipliers, n_bars)[:, None]

    imbalance = 2 * rng.beta(4.0, 4.0, shape) - 1
    signal = imbalance / IMBALANCE_STD
    known = np.vstack([begin.signal, signal[:-1]])
    shock = _shocks(rng, shape, regime, market, symbols, n_bars)
    expected = market.annual_drift / 252 * share + planted_ic * scale * known
    log_return = expected + np.sqrt(1 - planted_ic**2) * scale * shock

    log_close = begin.log_price + np.cumsum(log_return, axis=0)
    log_before = np.vstack([begin.log_price, log_close[:-1]])
    overnight = np.tile(day.overnight_part, n_days)[:, None]
    bridge = np.sqrt(overnight * (1 - overnight)) * scale * regime
    log_open = log_before + overnight * log_return + bridge * rng.standard_normal(shape)
    volatility = scale * regime * np.sqrt(1 - overnight)
    high, low = bridge_extremes(log_open, log_close, volatility, rng.random(shape), rng.random(shape))
    open_, close = np.exp(log_open), np.exp(log_close)
    # exp rounds: the extremes must still contain both ends.
    high = np.maximum(np.exp(high), np.maximum(open_, close))
    low = np.minimum(np.exp(low), np.minimum(open_, close))

    activity = 0.4 * rng.standard_normal(shape) + 0.25 * (np.abs(shock) - 0.75)
    volume = np.ceil(symbols.daily_volume * np.tile(day.volume_share, n_days)[:, None] * np.exp(activity))
    place = 0.8 * (open_ + high + low + close) / 4 + 0.2 * (low + (high - low) * rng.random(shape))
    return Block(
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=volume,
        vwap=np.clip(place, low, high),
        buy_volume=volume * (1 + imbalance) / 2,
        spread=close * symbols.spread_bps * 1e-4 * np.sqrt(regime) * np.exp(0.2 * rng.standard_normal(shape)),
        n_trades=1 + rng.poisson(volume / symbols.trade_size),
        expected=expected,
        end=BlockState(log_close[-1], signal[-1]),
    )


def _shocks(
    rng: np.random.Generator,
    shape: tuple[int, int],
    regime: FloatArray,
    market: MarketLaw,
    symbols: SymbolLaw,
    n_bars: int,
) -> FloatArray:
    """Return shocks of variance one: regime times (market and own Student-t), and rare jumps."""
    unit = np.sqrt((market.tail_df - 2) / market.tail_df)
    common = unit * rng.standard_t(market.tail_df, (shape[0], 1))
    own = unit * rng.standard_t(market.tail_df, shape)
    diffusive = regime * (symbols.market_loading * common + np.sqrt(1 - symbols.market_loading**2) * own)
    chance = market.jumps_per_day / n_bars
    jumps = np.where(rng.random(shape) < chance, rng.standard_normal(shape) / np.sqrt(chance), 0.0)
    return np.asarray(np.sqrt(1 - market.jump_share) * diffusive + np.sqrt(market.jump_share) * jumps)


def bridge_extremes(
    log_open: FloatArray, log_close: FloatArray, volatility: FloatArray, up: FloatArray, down: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return log high and low of a Brownian bridge from open to close, each exact in law.

    The maximum M of a bridge from 0 to b of variance v has P(M > m) = exp(-2 m (m - b) / v) (Karatzas and Shreve,
    Brownian Motion and Stochastic Calculus, 4.3.40), which is inverted at `up`, uniform in [0, 1); the minimum is
    that of the mirrored path, at `down`.
    """
    move = log_close - log_open
    reach_up = -2 * volatility**2 * np.log1p(-up)
    reach_down = -2 * volatility**2 * np.log1p(-down)
    high = log_open + (move + np.sqrt(move**2 + reach_up)) / 2
    low = log_open + (move - np.sqrt(move**2 + reach_down)) / 2
    return high, low
