"""Barrier labels against a plain double loop, and the rules for missing bars, gaps and ties."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trader.core.errors import DataError
from trader.models.labels import meta_labels, triple_barrier
from trader.models.targets import forward_returns


def _by_hand(closes, highs, lows, volatility, side, profit, stop, horizon, delay):
    """The definition, one label at a time, from lists of the bars that count."""
    n, m = closes.shape
    label, touch, ret = np.full((n, m), np.nan), np.full((n, m), -1), np.full((n, m), np.nan)
    for t in range(n):
        for s in range(m):
            last = t + delay + horizon
            if last >= n or np.isnan([closes[t, s], closes[t + delay, s], volatility[t, s], side[t, s]]).any():
                continue
            if volatility[t, s] <= 0 or side[t, s] == 0:
                continue
            entry, long = closes[t + delay, s], side[t, s] > 0
            unit = volatility[t, s] * math.sqrt(horizon)
            sign = 1 if long else -1
            for i in [i for i in range(t + delay + 1, last + 1) if not np.isnan(closes[i, s])]:
                prices = [closes[i, s]] if np.isnan(highs[i, s]) else [lows[i, s], highs[i, s]]
                outcomes = sorted(sign * (price / entry - 1) for price in prices)
                if stop is not None and outcomes[0] <= -stop * unit:
                    label[t, s], touch[t, s], ret[t, s] = -1, i, min(-stop * unit, outcomes[-1])
                    break
                if profit is not None and outcomes[-1] >= profit * unit:
                    label[t, s], touch[t, s], ret[t, s] = 1, i, max(profit * unit, outcomes[0])
                    break
            else:
                if not np.isnan(closes[last, s]):
                    label[t, s], touch[t, s], ret[t, s] = 0, last, sign * (closes[last, s] / entry - 1)
    return label, touch, ret


def _panel(seed: int, n: int = 150, m: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    closes = 100 * np.exp(np.cumsum(0.01 * rng.standard_t(3, (n, m)), axis=0))
    highs, lows = closes * (1 + 0.006 * rng.random((n, m))), closes * (1 - 0.006 * rng.random((n, m)))
    volatility = 0.01 * (0.5 + rng.random((n, m)))
    side = rng.integers(-1, 2, (n, m)).astype(float)
    for panel, share in ((closes, 0.05), (volatility, 0.03), (side, 0.03)):
        panel[rng.random((n, m)) < share] = np.nan
    holes = rng.random((n, m)) < 0.2
    return {
        "closes": closes,
        "highs": np.where(holes, np.nan, highs),
        "lows": np.where(holes, np.nan, lows),
        "volatility": volatility,
        "side": side,
    }


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("profit", "stop"), [(1.0, 0.7), (0.5, None), (None, 0.5), (None, None)])
@pytest.mark.parametrize(("horizon", "delay"), [(5, 1), (1, 0), (12, 2)])
def test_labels_are_those_of_a_double_loop(
    seed: int, profit: float | None, stop: float | None, horizon: int, delay: int
) -> None:
    """Label, instant and return of every cell, with holes in every input."""
    data = _panel(seed)
    found = triple_barrier(
        data["closes"],
        data["volatility"],
        profit=profit,
        stop=stop,
        horizon=horizon,
        highs=data["highs"],
        lows=data["lows"],
        side=data["side"],
        delay=delay,
    )
    label, touch, ret = _by_hand(profit=profit, stop=stop, horizon=horizon, delay=delay, **data)
    assert np.array_equal(found.label, label, equal_nan=True)
    assert np.array_equal(found.touch, touch)
    assert found.ret == pytest.approx(ret, nan_ok=True)
    assert {-1.0, 0.0, 1.0} >= set(np.unique(label[~np.isnan(label)]))


def test_without_barriers_the_return_is_the_forward_return() -> None:
    """The vertical barrier alone gives `forward_returns`, and with `sign` its sign."""
    closes = _panel(1)["closes"]
    volatility = np.full(closes.shape, 0.01)
    found = triple_barrier(closes, volatility, profit=None, stop=None, horizon=4, vertical="sign")
    forward = forward_returns(closes, 4)
    assert np.array_equal(found.ret, forward, equal_nan=True)
    assert np.array_equal(found.label, np.sign(forward), equal_nan=True)


def test_short_bets_mirror_long_ones() -> None:
    """On the mirrored path of returns, a short bet ends as the long one does."""
    closes = np.array([100.0, 100.0, 104.0, 90.0, 100.0])[:, None]
    mirrored = 200.0 - closes  # the same moves from 100, with the other sign
    arguments = {"profit": 1.0, "stop": 3.0, "horizon": 3}
    volatility = np.full((5, 1), 0.03 / math.sqrt(3))
    long = triple_barrier(closes, volatility, **arguments)  # type: ignore[arg-type]
    short = triple_barrier(mirrored, volatility, side=-np.ones((5, 1)), **arguments)  # type: ignore[arg-type]
    assert (long.label[0, 0], long.touch[0, 0], long.ret[0, 0]) == (1.0, 2, pytest.approx(0.04))
    assert (short.label[0, 0], short.touch[0, 0], short.ret[0, 0]) == (1.0, 2, pytest.approx(0.04))


@pytest.mark.parametrize(
    ("high", "low", "label", "ret"),
    [
        (100.5, 99.5, 0.0, 0.0),  # neither barrier; the bet goes on
        (102.5, 99.5, 1.0, 0.02),  # at the price of the barrier
        (104.0, 103.0, 1.0, 0.03),  # opened beyond: the nearest price of the bar
        (100.5, 97.0, -1.0, -0.02),
        (97.0, 96.0, -1.0, -0.03),
        (103.0, 97.0, -1.0, -0.02),  # both in one bar: the stop
    ],
)
def test_barriers_within_a_bar(high: float, low: float, label: float, ret: float) -> None:
    """Barriers at 2 % from an entry of 100; the bar after it has this range."""
    closes = np.array([100.0, 100.0, (high + low) / 2, 100.0])[:, None]
    ranges = np.array([100.0, 100.0, np.nan, 100.0])[:, None]
    highs, lows = np.where(np.isnan(ranges), high, ranges), np.where(np.isnan(ranges), low, ranges)
    volatility = np.full((4, 1), 0.02 / math.sqrt(2))
    found = triple_barrier(closes, volatility, profit=1.0, stop=1.0, horizon=2, highs=highs, lows=lows)
    assert (found.label[0, 0], found.ret[0, 0]) == (label, pytest.approx(ret))


def test_no_label_sees_beyond_its_horizon() -> None:
    """Prices after the vertical barrier change nothing, and the last labels are unknown even where touched."""
    data = _panel(2)
    arguments = {"profit": 0.3, "stop": 0.3, "horizon": 6}
    whole = triple_barrier(data["closes"], data["volatility"], **arguments)  # type: ignore[arg-type]
    cut = triple_barrier(data["closes"][:100], data["volatility"][:100], **arguments)  # type: ignore[arg-type]
    assert np.array_equal(cut.label[:93], whole.label[:93], equal_nan=True)
    assert np.isnan(cut.label[93:]).all()
    assert (cut.touch[93:] == -1).all()


def test_a_random_walk_hits_the_nearer_barrier_more_often() -> None:
    """Of a symmetric walk that ends at a barrier, a share of stop / (profit + stop) ends in profit."""
    steps = np.random.default_rng(0).choice([-0.001, 0.001], (4000, 40))
    closes = np.vstack([np.ones(40), 1 + np.cumsum(steps, axis=0)])  # stays near 1
    relative = np.diff(closes, axis=0, prepend=1.0) / closes
    closes = np.exp(np.cumsum(relative, axis=0))
    volatility = np.full(closes.shape, 0.001)
    found = triple_barrier(closes, volatility, profit=1.0, stop=0.5, horizon=400)
    ended = found.label[np.abs(found.label) == 1]
    assert ended.size > 100_000
    # Barriers at 20 and 10 steps, overshot by less than one; overlapping labels widen the error.
    assert (ended > 0).mean() == pytest.approx(10 / 30, abs=0.03)


def test_meta_labels_say_whether_the_bet_paid() -> None:
    """One where the bet's return is above its cost, zero where it is not, and none without a bet."""
    data = _panel(3)
    scores = np.where(np.isnan(data["side"]), np.nan, 0.3 * data["side"])
    arguments = {"profit": 1.0, "stop": 1.0, "horizon": 5}
    bets = triple_barrier(data["closes"], data["volatility"], side=data["side"], **arguments)  # type: ignore[arg-type]
    found = meta_labels(scores, data["closes"], data["volatility"], cost=0.002, **arguments)  # type: ignore[arg-type]
    known = np.isfinite(bets.ret)
    assert np.array_equal(np.isfinite(found.label), known)
    assert np.array_equal(found.label[known] == 1, bets.ret[known] > 0.002)
    assert found.ret[known] == pytest.approx(bets.ret[known] - 0.002)
    assert np.isnan(found.label[scores == 0]).all()
    assert np.array_equal(found.side, data["side"], equal_nan=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"profit": 0.0}, r"profit=0\.0"),
        ({"stop": -1.0}, r"stop=-1\.0"),
        ({"horizon": 0}, "horizon=0"),
        ({"delay": -1}, "delay=-1"),
        ({"vertical": "none"}, "vertical='none'"),
        ({"side": np.ones((2, 2))}, r"side has shape \(2, 2\)"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, object], message: str) -> None:
    """A refused argument is named with its value."""
    given = {"profit": 1.0, "stop": 1.0, "horizon": 2} | arguments
    with pytest.raises(DataError, match=message):
        triple_barrier(np.ones((9, 1)), np.ones((9, 1)), **given)  # type: ignore[arg-type]


def test_a_negative_cost_is_refused() -> None:
    """Costs do not earn."""
    ones = np.ones((9, 1))
    with pytest.raises(DataError, match=r"cost=-0\.1"):
        meta_labels(ones, ones, ones, profit=1.0, stop=1.0, horizon=2, cost=-0.1)
