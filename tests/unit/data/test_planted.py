"""Planted markets: the oracle is the conditional mean, its IC the one asked for, and the noise that of markets."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from trader.core.errors import DataError
from trader.core.market import BarBatch
from trader.data.feeds import open_feed
from trader.data.planted import PlantedMarket, plant
from trader.data.quality import inspect
from trader.data.simulation.signals import SIGNALS, sector_of
from trader.settings import FeedSettings, PlantedSettings


@lru_cache(maxsize=16)  # those of one test over all signals, for the next to share; no test changes one
def market(signal: str, seed: int = 1, **settings: float) -> PlantedMarket:
    return plant(PlantedSettings(signal=signal, **settings), seed=seed)  # type: ignore[arg-type]


def forward(planted: PlantedMarket, horizon: int, delay: int = 1) -> np.ndarray:
    log_close = np.log(planted.panel.close)
    return log_close[delay + horizon :] - log_close[delay : log_close.shape[0] - horizon]


def rank_ic(scores: np.ndarray, returns: np.ndarray) -> float:
    """Mean over instants of Spearman's correlation; none of the values are tied."""
    ranks = [side.argsort(axis=1).argsort(axis=1).astype(float) for side in (scores, returns)]
    left, right = (side - side.mean(axis=1, keepdims=True) for side in ranks)
    return float(((left * right).sum(axis=1) / (left**2).sum(axis=1)).mean())


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("strength", [0.1, 0.3])
def test_the_oracle_has_the_information_coefficient_asked_for(signal: str, strength: float) -> None:
    """Rank IC of the oracle against the return over the symbol's volatility: the strength, to a tenth and noise."""
    planted = market(signal, strength=strength)
    scores = planted.oracle()[:-2] / planted.volatility
    assert rank_ic(scores, forward(planted, 1) / planted.volatility) == pytest.approx(strength, rel=0.1, abs=0.012)


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize(("horizon", "delay", "lag"), [(1, 1, 2), (5, 1, 2), (1, 0, 1), (4, 3, 5)])
def test_the_oracle_is_the_conditional_mean(signal: str, horizon: int, delay: int, lag: int) -> None:
    """Returns regressed on the oracle give a slope of one: markets of four seeds, four standard errors."""
    slopes = []
    for seed in range(4):
        planted = market(signal, seed, lag=lag)
        oracle = planted.oracle(horizon, delay)[: -horizon - delay]
        slopes.append((oracle * forward(planted, horizon, delay)).sum() / (oracle**2).sum())
    # The error of one slope is about sqrt(horizon) / (share of the oracle's spread * sqrt(cells)); overlap doubles it.
    spread = oracle.std() / planted.volatility.mean()
    error = 2 * np.sqrt(horizon) / spread / np.sqrt(4 * oracle.size)
    assert np.mean(slopes) == pytest.approx(1.0, abs=4 * error)


@pytest.mark.parametrize("signal", SIGNALS)
def test_nothing_else_is_known_of_the_surprise(signal: str) -> None:
    """What the oracle leaves is uncorrelated with every return of the three bars before."""
    planted = market(signal, n_days=8000)
    surprise = (forward(planted, 1) - planted.oracle()[:-2])[8:]
    moves = planted.moves[-8000:-2]
    for past in range(3):
        known = moves[8 - past : -past or None]
        correlation = np.corrcoef(surprise.T, known.T)[:10, 10:]
        assert np.abs(correlation).max() < 5.5 / np.sqrt(surprise.shape[0])


def test_own_returns_know_nothing_of_lead_lag() -> None:
    """No IC over symbols, and no symbol whose returns tell of its later ones, less their mean; its leader's do."""
    ics, owns, leaders = [], [], []
    for seed in range(6):
        planted = market("lead_lag", seed)
        later = forward(planted, 1) / planted.volatility
        later -= later.mean(axis=1, keepdims=True)
        for past in range(4):
            moves = planted.moves[-4000 - past : -2 - past]
            ics.append(rank_ic(moves, later))
            owns.append((moves * later).mean(axis=0))
        moves, follows = planted.moves[-4000:-2], planted.law.sign != 0
        leaders.append((planted.law.sign * moves[:, planted.law.leader] * later)[:, follows].mean())
    assert abs(np.mean(ics)) < 0.01
    assert np.abs(owns).max() < 5.5 / np.sqrt(4000)  # tails and clusters widen the error of 240 of them
    assert np.mean(leaders) == pytest.approx(planted.coefficient, rel=0.1)


def test_leaders_follow_nobody_and_lead_the_other_sector() -> None:
    """A fifth lead, each as many with a reversed sign as without."""
    law = market("lead_lag", n_symbols=20, n_days=10).law
    follows = law.sign != 0
    assert follows.sum() == 16
    assert (law.leader[~follows] == np.flatnonzero(~follows)).all()
    assert not follows[law.leader].any()
    assert (sector_of(20)[law.leader] != sector_of(20))[follows].all()
    assert [law.sign[law.leader == k].sum() for k in range(20)] == [0.0] * 20


def test_a_strength_out_of_reach_is_refused() -> None:
    """Nothing can be known of leaders, so no forecast orders all symbols right."""
    with pytest.raises(DataError, match=r"strength=0\.98 .* with 10 symbols it must be below 0\.\d\d"):
        market("lead_lag", strength=0.98, n_days=10)


def test_volume_decides_whether_a_move_continues() -> None:
    """After unusual volume the next return continues the move, after little volume it reverses it."""
    planted = market("volume")
    log_volume = np.log(planted.panel.volume)
    busy = (log_volume > np.median(log_volume, axis=0))[:-2]
    moves, later = planted.moves[-4000:-2], forward(planted, 1) / planted.volatility
    assert np.corrcoef(moves[busy], later[busy])[0, 1] > 0.2
    assert np.corrcoef(moves[~busy], later[~busy])[0, 1] < -0.2
    assert abs(np.corrcoef(moves.ravel(), later.ravel())[0, 1]) < 0.03


def test_volatility_shows_the_regime() -> None:
    """The mean size of the moves of the last ten bars tells the hidden state in nine of ten instants."""
    planted = market("regime")
    size = np.abs(planted.moves).mean(axis=1)
    recent = np.lib.stride_tricks.sliding_window_view(size, 10).mean(axis=1)
    state = planted.states[9:, 0]
    assert np.mean((recent > 0.72) == (state == 1)) > 0.88
    assert 0.25 < state.mean() < 0.75


@pytest.mark.parametrize("signal", SIGNALS)
def test_noise_is_that_of_markets(signal: str) -> None:
    """Variance one, fat tails, volatility that clusters, correlation within sectors and none between them."""
    planted = market(signal, n_days=8000, strength=0.0)
    moves = planted.moves[-8000:]
    assert moves.var() == pytest.approx(1.0, abs=0.15)
    assert (moves**4).mean() / moves.var() ** 2 > 4.0
    squares = np.minimum(moves**2, 25.0)
    clustering = np.mean([np.corrcoef(squares[1:, i], squares[:-1, i])[0, 1] for i in range(10)])
    assert clustering > 0.05
    correlation = np.corrcoef(moves.T)
    together = sector_of(10)[:, None] == sector_of(10)
    off_diagonal = ~np.eye(10, dtype=bool)
    assert correlation[together & off_diagonal].mean() == pytest.approx(0.35, abs=0.06)
    assert correlation[~together].mean() == pytest.approx(0.0, abs=0.03)


def test_no_strength_is_no_signal() -> None:
    """The oracle of a market without a signal expects nothing."""
    assert not market("momentum", strength=0.0, n_days=50).oracle().any()


def test_bars_are_consistent() -> None:
    """Extremes contain both ends, each bar opens where the last one closed, and closes follow the moves."""
    planted = market("momentum", n_days=500)
    panel = planted.panel
    for inside in (panel.open, panel.close):
        assert ((panel.low <= inside) & (inside <= panel.high)).all()
    assert np.array_equal(panel.open[1:], panel.close[:-1])
    assert np.diff(np.log(panel.close), axis=0) == pytest.approx((planted.moves * planted.volatility)[-499:])
    assert (panel.volume > 0).all()
    assert (np.diff(panel.ts_ns) > 0).all()


@pytest.mark.parametrize("signal", SIGNALS)
def test_the_feed_delivers_the_market(signal: str) -> None:
    """Opened by settings, the feed holds the very bars of `plant`: the quality checks find nothing to repair."""
    settings = PlantedSettings(signal=signal, n_days=1500)  # type: ignore[arg-type]
    feed = open_feed(FeedSettings(kind="planted", planted=settings, batch_slices=100), seed=3)
    bars = BarBatch.concat([batch.data for batch in feed.batches() if isinstance(batch.data, BarBatch)])
    planted = plant(settings, seed=3)
    assert bars == planted.panel.to_bars()
    assert feed.info.fields == {"open", "high", "low", "close", "volume"}
    assert feed.rejected() == {}
    assert len(inspect(bars, feed.info.universe).findings) == 0


def test_the_feed_can_be_restricted_to_symbols() -> None:
    """Named symbols only, in the order given; the others still move them."""
    settings = FeedSettings(kind="planted", planted=PlantedSettings(n_days=60), symbols=("SIM03", "SIM00"))
    feed = open_feed(settings, seed=3)
    assert feed.info.universe.symbols == ("SIM03", "SIM00")
    first = next(feed.batches()).data
    assert isinstance(first, BarBatch)
    assert first.close.tolist() == plant(settings.planted, seed=3).panel.close[0, [3, 0]].tolist()


@pytest.mark.parametrize(("horizon", "delay"), [(0, 1), (1, -1)])
def test_bad_horizons_are_named(horizon: int, delay: int) -> None:
    """A refused argument is named with its value."""
    with pytest.raises(DataError, match=f"horizon={horizon}, delay={delay}"):
        market("momentum", n_days=10).oracle(horizon, delay)
