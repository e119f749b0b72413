from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from trader.core.errors import DataError
from trader.core.market import BarBatch, BarPanel
from trader.data.quality import inspect
from trader.data.simulated import SimulatedMarket
from trader.data.simulation.law import IMBALANCE_STD, MEAN_ABSOLUTE_SIGNAL, DayShape, MarketLaw, generator
from trader.settings import SimulationSettings


def market(seed: int = 1, **settings: float) -> SimulatedMarket:
    return SimulatedMarket(SimulationSettings(**settings), seed=seed)  # type: ignore[arg-type]


def returns_of(panel: BarPanel) -> np.ndarray:
    return np.diff(np.log(panel.close), axis=0)


def imbalance_of(panel: BarPanel) -> np.ndarray:
    return 2 * panel.buy_volume / panel.volume - 1


def test_equal_seeds_are_bit_identical() -> None:
    """Twice the same settings and seed give the same bits; another seed gives another market."""
    first, again, other = (market(seed, n_days=300).panel().to_bars() for seed in (1, 1, 2))
    assert first == again
    assert not np.array_equal(first.close, other.close)


@pytest.mark.parametrize("bar_minutes", [1, 7, 60, 390])
def test_bars_are_consistent(bar_minutes: int) -> None:
    """Low and high contain open, close and vwap; buy volume is a part of volume; spreads are positive."""
    panel = market(n_symbols=5, n_days=30, bar_minutes=bar_minutes).panel()
    for inside in (panel.open, panel.close, panel.vwap):
        assert ((panel.low <= inside) & (inside <= panel.high)).all()
    assert ((panel.buy_volume >= 0) & (panel.buy_volume <= panel.volume)).all()
    assert (panel.spread > 0).all()
    assert (panel.spread < 0.01 * panel.close).all()
    assert panel.ts_ns.size == 30 * -(-390 // bar_minutes)
    assert (np.diff(panel.ts_ns) > 0).all()
    assert (panel.ts_open_ns[1:] >= panel.ts_ns[:-1, None]).all()


@pytest.mark.parametrize("rho", [0.05, 0.3])
@pytest.mark.parametrize("bar_minutes", [390, 30])
def test_planted_ic_is_found(rho: float, bar_minutes: int) -> None:
    """The oracle's correlation with the next return is rho, within four standard errors."""
    simulated = market(n_days=4000 if bar_minutes == 390 else 400, bar_minutes=bar_minutes, planted_ic=rho)
    returns, oracle = returns_of(simulated.panel()), simulated.oracle[:-1]
    drift = oracle.mean()
    ic = np.array([np.corrcoef(oracle[:, i], returns[:, i])[0, 1] for i in range(20)])
    assert simulated.expected_ic == rho
    assert drift == pytest.approx(0.05 / 252 * bar_minutes / 390, rel=0.5)
    assert ic.mean() == pytest.approx(rho, abs=4 * 1.5 / np.sqrt(oracle.size))  # 1.5: fat tails widen the error


def test_the_signal_is_the_imbalance_of_the_bar_before() -> None:
    """On daily bars the observable imbalance has the planted correlation, and none with its own bar's return."""
    panel = market(n_days=4000, planted_ic=0.2).panel()
    returns, imbalance = returns_of(panel), imbalance_of(panel)
    following = np.mean([np.corrcoef(imbalance[:-1, i], returns[:, i])[0, 1] for i in range(20)])
    own = np.mean([np.corrcoef(imbalance[1:, i], returns[:, i])[0, 1] for i in range(20)])
    assert following == pytest.approx(0.2, abs=0.02)
    assert own == pytest.approx(0.0, abs=0.015)
    assert imbalance.std() == pytest.approx(IMBALANCE_STD, rel=0.01)


def test_knowing_the_oracle_earns_what_theory_says() -> None:
    """Long where the signal is positive, short where negative: rho times volatility times E|z| a bar."""
    rho = 0.2
    panel = market(n_days=6000, planted_ic=rho).panel()
    returns, signal = returns_of(panel), np.sign(imbalance_of(panel)[:-1])
    volatility = returns.std(axis=0)
    earned = (signal * returns).mean(axis=0) / volatility
    assert np.mean(earned) == pytest.approx(rho * MEAN_ABSOLUTE_SIGNAL, abs=4 / np.sqrt(returns.size))


def test_the_oracle_predicts_without_bias() -> None:
    """Regressing returns on the oracle gives a slope of one: it is the conditional mean."""
    simulated = market(n_days=6000, planted_ic=0.3)
    slope = stats.linregress(simulated.oracle[:-1].ravel(), returns_of(simulated.panel()).ravel()).slope
    assert slope == pytest.approx(1.0, abs=0.03)


def test_without_a_planted_signal_there_is_none() -> None:
    """rho of zero leaves an oracle of pure drift, and no correlation with the imbalance."""
    simulated = market(n_days=4000)
    panel = simulated.panel()
    assert np.unique(simulated.oracle[:-1]).size == 1
    ic = np.mean([np.corrcoef(imbalance_of(panel)[:-1, i], returns_of(panel)[:, i])[0, 1] for i in range(20)])
    assert ic == pytest.approx(0.0, abs=0.015)


def test_returns_look_like_those_of_stocks() -> None:
    """Fat tails, volatility that clusters, symbols that move together, about 28 % a year."""
    returns = returns_of(market(n_days=4000).panel())
    assert np.median(stats.kurtosis(returns)) > 2
    size = np.abs(returns)
    clustering = np.mean([np.corrcoef(size[:-10, i], size[10:, i])[0, 1] for i in range(20)])
    assert clustering > 0.05
    pairs = np.corrcoef(returns.T)[np.triu_indices(20, 1)]
    assert 0.15 < pairs.mean() < 0.5
    assert 0.2 < returns.std() * np.sqrt(252) < 0.36


def test_the_day_is_u_shaped() -> None:
    """Volatility and volume are higher at the open and the close than at noon."""
    panel = market(n_days=250, bar_minutes=30, n_symbols=30).panel()
    by_time = (250, 13, 30)
    moves = np.log(panel.close / panel.open).reshape(by_time).std(axis=(0, 2))
    volume = panel.volume.reshape(by_time).mean(axis=(0, 2))
    for shape in (moves, volume):
        assert shape[6] < 0.8 * shape[0]
        assert shape[6] < 0.8 * shape[-1]


def test_parkinson_agrees_with_close_to_close() -> None:
    """Highs and lows carry the volatility that the prices inside the session have (Parkinson 1980)."""
    panel = market(n_days=3000, bar_minutes=30, n_symbols=4).panel()
    park = np.mean(np.log(panel.high / panel.low) ** 2) / (4 * np.log(2))
    close = np.mean(np.log(panel.close / panel.open) ** 2)
    # Jumps lie between the ends of a bar and not on its path, and widen ends and range alike.
    assert park / close == pytest.approx(1.0, abs=0.15)


def test_day_shapes_share_out_one_day() -> None:
    """Shares of variance and volume sum to one however the day is cut; the last bar may be short."""
    for minutes in (1, 60, 100, 390):
        day = DayShape.of(minutes, 0.2)
        assert day.variance_share.sum() == pytest.approx(1)
        assert day.volume_share.sum() == pytest.approx(1)
        assert day.edges[-1] == 390
    assert DayShape.of(390, 0.2).overnight_part.tolist() == [0.2]


def test_regimes_follow_their_law() -> None:
    """Over a long path regimes occur as often as the stationary law says, and variance averages one."""
    law = MarketLaw()
    path = law.daily_multipliers(200_000, generator(0))
    levels, counts = np.unique(path, return_counts=True)
    assert levels / levels[1] == pytest.approx([0.65, 1.0, 2.2])
    assert counts / path.size == pytest.approx(law.stationary(), abs=0.02)
    assert np.mean(path**2) == pytest.approx(1)
    assert law.stationary() @ law.transition() == pytest.approx(law.stationary())


def test_symbols_can_be_picked() -> None:
    """A pick is the same columns of the same market, its oracle too."""
    settings = SimulationSettings(n_symbols=5, n_days=40, planted_ic=0.1)
    whole = SimulatedMarket(settings, seed=3)
    pick = SimulatedMarket(settings, seed=3, symbols=("SIM03", "SIM01"))
    assert np.array_equal(pick.panel().close, whole.panel().close[:, [3, 1]])
    assert np.array_equal(pick.oracle, whole.oracle[:, [3, 1]], equal_nan=True)
    with pytest.raises(DataError, match="symbol 'SIM99' is unknown; known are SIM00"):
        SimulatedMarket(settings, seed=3, symbols=("SIM99",))


def test_an_end_cuts_without_changing_what_is_left() -> None:
    """The bars before the end are those of the whole market."""
    settings = SimulationSettings(n_symbols=3, n_days=40)
    whole = SimulatedMarket(settings, seed=3)
    end = int(whole.panel().ts_ns[25])
    cut = SimulatedMarket(settings, seed=3, end_ns=end)
    assert cut.panel().to_bars() == BarPanel.to_bars(whole.panel().rows(0, 25))
    assert cut.oracle.shape == (25, 3)
    assert cut.info.fingerprint != whole.info.fingerprint


def test_quality_checks_reject_nothing_of_it() -> None:
    """Jumps are news: no bar of a simulated market is dropped or changed."""
    simulated = market(n_days=3000)
    bars = BarBatch.concat([b.data for b in simulated.batches()])  # type: ignore[misc]
    report = inspect(bars, simulated.info.universe)
    assert report.actions()["rejected"] == report.actions()["repaired"] == 0
