"""A genome is traded as its settings would be by a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trader.core.errors import TraderError
from trader.data.feeds import open_feed
from trader.engine.backtest import run_backtest
from trader.engine.plan import train_end_ns
from trader.engine.prepare import prepare_run
from trader.engine.training_set import Past, read_past
from trader.settings import Settings, load_settings
from trader.storage import Store
from tune.strategy import arena_of, column_names, expressed, perform, settings_of, strategy_space, trade

GENOME: dict[str, Any] = {
    "families": ("returns", "momentum", "volatility", "calendar"),
    "horizon": 3,
    "model": "linear",
    "linear.alpha": 0.5,
    "boosting.n_trees": 20,
    "boosting.learning_rate": 0.1,
    "boosting.max_leaves": 4,
    "sizing.target_volatility": 0.12,
    "sizing.tilt": 0.25,
    "sizing.rebalance_every": 2,
    "sizing.rebalance_band": 0.01,
    "sizing.max_weight": 0.2,
    "sizing.max_turnover": 0.5,
}
BASE = {
    "feed": {"symbols": ("AAPL", "AMD", "BAC", "BBY", "CVX", "GE"), "start": "2014-01-01"},
    "models": {"train_end": "2013-12-31", "preset": "ci"},
}


@pytest.fixture(scope="module")
def past() -> Past:
    """Six stocks from 1990 to 2013."""
    settings = load_settings(overrides=BASE)
    feed = open_feed(settings.feed, seed=7)
    assert feed.info.span_ns is not None
    return read_past(feed, settings, train_end_ns(settings, feed.info.span_ns))


@pytest.fixture(scope="module")
def columns(past: Past) -> dict[str, tuple[str, ...]]:
    return column_names(past.schema.names, past.settings.features.bars_per_day)


def _day(past: Past, row: int) -> str:
    return str(past.data.ts_ns[row].astype("datetime64[ns]").astype("datetime64[D]"))


def test_trading_a_genome_is_running_its_settings(
    past: Past, columns: dict[str, tuple[str, ...]], tmp_path: Path
) -> None:
    """A backtest with the genome's settings over the same days earns the same returns, bit for bit."""
    arena = arena_of(past, 0.9)
    own = settings_of(GENOME, past.settings)
    content = own.model_dump() | {"run": {"runs_dir": tmp_path, "seed": own.run.seed}}
    content["feed"] |= {"start": _day(past, arena.split), "end": _day(past, -1)}
    content["models"] |= {"train_end": _day(past, arena.split - 1), "n_splits": 2}
    settings = Settings.model_validate(content)
    with Store.open(settings.store_url, synchronous="normal") as store:
        prepared = prepare_run(settings, store, mode="backtest")
        run_backtest(prepared, store)
        equity = store.decisions(prepared.plan.run_id).equity
    returns = trade(arena, own, columns)
    assert np.abs(returns).sum() > 0.0
    np.testing.assert_array_equal(returns, np.diff(equity) / equity[:-1])


def test_genes_become_settings(past: Past) -> None:
    """Features, model with its hyperparameters, horizon and sizing; all else stays."""
    own = settings_of(GENOME, past.settings)
    assert own.features.families == GENOME["families"]
    assert (own.models.members, own.models.params, own.models.horizon) == (("linear",), {"linear": {"alpha": 0.5}}, 3)
    assert own.sizing.max_turnover == 0.5
    assert own.execution == past.settings.execution
    assert own.models.train_end == "2013-12-31"


def test_only_genes_of_the_chosen_model_speak() -> None:
    """The others are silent."""
    spoken = expressed(GENOME)
    assert "linear.alpha" in spoken
    assert not [name for name in spoken if name.startswith("boosting.")]
    assert set(GENOME) - set(spoken) == {name for name in GENOME if name.startswith("boosting.")}


def test_families_are_those_the_data_allow(columns: dict[str, tuple[str, ...]], past: Past) -> None:
    """Closes alone have no volume features; every column of the schema but the ranks belongs to one family."""
    assert "volume" not in columns
    own = [name for names in columns.values() for name in names]
    assert sorted(own) == sorted(n for n in past.schema.names if not n.startswith(("rank_", "z_")))


def test_every_genome_can_be_traded(past: Past, columns: dict[str, tuple[str, ...]]) -> None:
    """Samples of the whole space give returns, or an error that is one line."""
    arena, rng = arena_of(past, 0.95), np.random.default_rng(0)
    space = strategy_space(columns)
    outcomes = [perform(space.sample(rng), arena, past.settings, columns) for _ in range(6)]
    for outcome in outcomes:
        assert len(outcome.returns) == len(past.data) - arena.split - 1 or outcome.error
        assert "\n" not in outcome.error
    assert sum(bool(outcome.returns) for outcome in outcomes) >= 4


def test_a_genome_that_cannot_be_fitted_fails_alone(past: Past, columns: dict[str, tuple[str, ...]]) -> None:
    """Momentum without a column to read is an outcome, not an exception."""
    genome = GENOME | {"model": "momentum", "families": ("calendar",)}
    outcome = perform(genome, arena_of(past, 0.95), past.settings, columns)
    assert outcome.returns == ()
    assert outcome.error.startswith("ModelError: no feature that varies matches")
    with pytest.raises(TraderError):
        trade(arena_of(past, 0.95), settings_of(genome, past.settings), columns)
