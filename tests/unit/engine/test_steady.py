"""Models that do not answer cost the decisions of that time, not the run: positions are held, and it is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.deciding import N_SYMBOLS, Scripted, Trading
from trader.core.clock import ManualClock
from trader.core.errors import DataError, ServiceUnavailableError
from trader.core.events import PredictionsBack, PredictionsMissing, trace_id_of
from trader.core.protocols import Prediction
from trader.engine.steady import SteadyPredictor
from trader.models.weights import WeightChange, WeightSchedule
from trader.storage import Store

ROOMY = {"sizing": {"max_weight": 1.0, "max_gross": 5.0, "max_net": 5.0, "max_turnover": 5.0}}
ONE = np.ones((1, N_SYMBOLS, 2))
NOW = np.array([7])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/trader.db", synchronous="normal") as opened:
        yield opened


def _down(first: int, last: int) -> Scripted:
    """Fails in the calls from `first` to `last`; three in a row, then the first of 16 instants later."""
    return Scripted(lambda call: ServiceUnavailableError("nobody there") if first <= call <= last else None)


def test_positions_are_held_until_the_models_are_back(store: Store) -> None:
    """Of 20 decisions without a prediction none makes an order; the one after them does, and both ends are events."""
    trading = Trading(store, _down(30, 33), ROOMY)
    trading.finish()
    table = store.decisions("r")
    without = np.flatnonzero(np.isnan(table.score).all(axis=1))
    first, last = int(without[0]), int(without[-1])
    # Three failures, 16 let pass, one tried in vain, 32 let pass: the run ends sooner than the next pause.
    assert (first, last) == (30, 30 + 3 + 16 + 32)
    held = table.positions[first : last + 2]
    assert np.array_equal(held, np.repeat(held[:1], len(held), axis=0))
    assert np.abs(held[0]).sum() > 0
    assert set(np.flatnonzero(np.diff(table.positions, axis=0).any(axis=1))) - set(range(first, last + 2))
    wanted = {int(order_id.split("-")[1]) for order_id in store.orders("r")["order_id"].to_pylist()}
    assert not wanted & set(range(first, last + 1))
    assert last + 1 in wanted
    assert trading.decider.standing.unpredicted == len(without) == 52
    assert [(event.kind, event.payload()) for event in trading.told] == [
        ("predictions_missing", {"seq": first, "reason": "nobody there"}),
        ("predictions_back", {"seq": last + 1, "missed": 52}),
    ]
    stored = [each for each in store.events("r") if each.kind.startswith("predictions_")]
    assert [(each.kind, each.trace_id, each.ts_ns) for each in stored] == [
        ("predictions_missing", trace_id_of("r", first), table.ts_ns[first]),
        ("predictions_back", trace_id_of("r", last + 1), table.ts_ns[last + 1]),
    ]


def test_a_run_without_any_prediction_makes_no_order(store: Store) -> None:
    """From the first decision on: it goes to its end, all cash."""
    trading = Trading(store, _down(0, 10**6))
    trading.finish()
    assert store.orders("r").num_rows == 0
    assert len(store.decisions("r")) == trading.decider.standing.unpredicted > 90
    assert trading.decider.standing.missing_since == 0


def test_a_restart_in_between_forgets_nothing(store: Store) -> None:
    """What was missing when the run broke off is known to the one that goes on, and told once."""
    broken = Trading(store, _down(20, 10**6))
    broken.go(100)
    broken.decider.close()
    again = Trading(store)
    assert again.decider.standing.missing_since == 20
    again.finish()
    (back,) = again.told
    n_before = broken.decider.counters.decisions
    assert (back.kind, back.payload()) == ("predictions_back", {"seq": n_before, "missed": n_before - 20})
    assert again.decider.standing.unpredicted == n_before - 20
    kinds = [each.kind for each in store.events("r") if each.kind.startswith("predictions_")]
    assert kinds == ["predictions_missing", "predictions_back"]


def test_the_risk_gate_watches_what_is_held(store: Store) -> None:
    """A drawdown beyond the limit halts trading while no model answers."""
    trading = Trading(store, _down(20, 10**6), ROOMY | {"risk": {"max_drawdown": 0.012}})
    trading.go(64)
    assert trading.decider.trading_state == "active"
    trading.finish()
    (halt,) = store.events("r", "trading_state_changed")
    assert (halt.payload["current"], halt.payload["who"]) == ("halted", "drawdown")
    assert halt.ts_ns > store.events("r", "predictions_missing")[0].ts_ns


def test_a_limit_of_sizing_still_binds(store: Store) -> None:
    """A held name that the market carries beyond `max_weight` is cut to it; nothing else is traded."""
    trading = Trading(store, _down(20, 10**6), {"sizing": {"max_weight": 0.05, "rebalance_band": 0.0}})
    trading.finish()
    table = store.decisions("r")
    changed = np.diff(np.abs(table.positions[20:]), axis=0)
    assert changed.min() < 0
    assert changed.max() <= 1e-9


@pytest.mark.parametrize("reason", ["failed", "late", "skipped"])
def test_an_ensemble_without_members_is_missing_too(reason: str) -> None:
    """That all members are left out is told apart from all of them abstaining."""
    nan = np.full((1, N_SYMBOLS), np.nan)
    answers = [Prediction(nan, {"a@1": nan}), Prediction(nan, {"a@1": nan}, {"a@1": reason})]
    told = []
    steady = SteadyPredictor(lambda *_: answers.pop(0), "r", on_event=told.append)
    assert steady.ask(0, NOW, ONE, 0).score is nan
    assert (steady.missed, told) == (0, [])
    assert list(steady.ask(1, NOW, ONE, 0).members) == ["a@1"]
    (event,) = told
    assert isinstance(event, PredictionsMissing)
    assert (event.seq, event.reason) == (1, f"every member is out: a@1 {reason}")


def test_time_ends_a_pause_where_instants_are_rare() -> None:
    """With a clock the fourth attempt comes a second after the third, not 16 instants."""
    clock = ManualClock()
    predictor = _down(0, 2)
    told = []
    steady = SteadyPredictor(predictor, "r", clock=clock, on_event=told.append)
    for seq in range(5):
        steady.ask(seq, NOW, ONE, 0)
    assert predictor.calls == 3
    clock.set(1_000_000_000)
    assert np.isfinite(steady.ask(5, NOW, ONE, 0).score).all()
    assert isinstance(told[-1], PredictionsBack)
    assert told[-1].missed == 5


def test_weights_of_the_schedule_wait_for_members() -> None:
    """Weights that name members are not asked for where there are none."""
    weights = WeightSchedule([WeightChange(0, {"first": 1.0})])
    steady = SteadyPredictor(_down(0, 0), "r", weights=weights)
    assert np.isnan(steady.ask(0, NOW, ONE, 0).score).all()
    assert np.isfinite(steady.ask(1, NOW, ONE, 0).score).all()


def test_foreign_features_end_the_run() -> None:
    """What no time repairs is raised."""
    steady = SteadyPredictor(Scripted(lambda _: DataError("30 columns are needed")), "r")
    with pytest.raises(DataError, match="30 columns"):
        steady.ask(0, NOW, ONE, 0)
