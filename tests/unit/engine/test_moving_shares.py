"""A run whose experiment moves its share: the same decisions whatever the batches, a crash or a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trader.core.protocols import Prediction
from trader.data.simulated import SimulatedMarket
from trader.engine.build import build_decider
from trader.engine.decider import Decider
from trader.engine.history import feature_schema
from trader.engine.shard import build_shard
from trader.experiments.actions import look
from trader.experiments.book import ExperimentBook
from trader.experiments.spec import ExperimentSpec
from trader.settings import load_settings
from trader.storage import RunRecord, Store

N_SYMBOLS = 8
SETTINGS = load_settings(
    None, None, {"feed": {"simulation": {"n_symbols": N_SYMBOLS, "n_days": 300}}, "experiment": {"name": "e"}}
)
IDS = np.arange(N_SYMBOLS, dtype=np.int32)
REFS: dict[str, Any] = {"name": "e", "champion": "first@1.0.0", "challenger": "second@1.0.0"}
THOMPSON = ExperimentSpec(**REFS, schedule="thompson", challenger_share=0.5, gate_every=20, seed=1)
RAMP = ExperimentSpec(**REFS, schedule="ramp", challenger_share=0.5, ramp=(0.5, 0.9), gate_every=50, horizon=150)


class _Feature:
    """Scores by one feature."""

    context = 1

    def __init__(self, place: int, ref: str) -> None:
        self._place, self._ref = place, ref

    def __call__(self, features: np.ndarray, n_context: int = 0) -> Prediction:
        score = np.nan_to_num(features[n_context:, :, self._place])
        return Prediction(score, {self._ref: score})


def _open(url: str, spec: ExperimentSpec, batch_slices: int, commit_every: int) -> tuple[Store, Decider, list[Any]]:
    feed = SimulatedMarket(SETTINGS.feed.simulation, seed=3, batch_slices=batch_slices)
    store = Store.open(url, synchronous="normal")
    if not store.runs():
        names = feature_schema(build_shard(feed.info, IDS, SETTINGS), N_SYMBOLS).names
        store.create_run(
            RunRecord(
                run_id="r",
                mode="backtest",
                created_ns=0,
                seed=1,
                symbols=feed.info.universe.symbols,
                feature_names=names,
                member_names=("first@1.0.0", "second@1.0.0"),
            )
        )
        book = ExperimentBook(store)
        book.register(spec, "ada", "why")
        book.join("e", "r")
    decider = build_decider(
        run_id="r",
        info=feed.info,
        settings=SETTINGS,
        start_ns=feed.info.span_ns[0] + 60 * 86_400_000_000_000,  # type: ignore[index]
        symbol_ids=[IDS],
        predictor=_Feature(0, "first@1.0.0"),
        challenger=_Feature(1, "second@1.0.0"),
        store=store,
        commit_every=commit_every,
    )
    shard = build_shard(feed.info, IDS, SETTINGS)
    return store, decider, [shard.process(batch) for batch in feed.batches()]


def _content(store: Store) -> tuple[Any, ...]:
    """Everything that must not depend on how the run went: marks, fills, shares."""
    shares = [(entry.payload, entry.said.why) for entry in ExperimentBook(store).get("e").shares]
    return store.variant_marks("r"), store.fills("r").to_pylist(), shares


@pytest.fixture(scope="module", params=[THOMPSON, RAMP], ids=["thompson", "ramp"])
def undisturbed(request: pytest.FixtureRequest) -> tuple[ExperimentSpec, tuple[Any, ...]]:
    """A plan, and what a run of it in batches of ten comes to."""
    store, decider, outputs = _open("sqlite://", request.param, 10, 25)
    for output in outputs:
        decider.accept(0, output)
    decider.commit()
    decider.drain()
    return request.param, _content(store)


def test_the_share_moves_and_is_traded(undisturbed: tuple[ExperimentSpec, tuple[Any, ...]]) -> None:
    """Changes are at gates, and from the next decision on in the marks, each once; all units are as assigned."""
    spec, (marks, fills, shares) = undisturbed
    assert len(marks) > 150
    assert fills
    assert len(shares) == len({payload["seq"] for payload, _ in shares}) > 0
    by_seq = {mark.seq: mark.share for mark in marks}
    for payload, _ in shares:
        assert (payload["seq"] - 1) % spec.gate_every == 0
        assert by_seq[payload["seq"] - 1] == payload["before"] != payload["share"]
        assert by_seq.get(payload["seq"], payload["share"]) == payload["share"]


def test_batches_change_nothing(undisturbed: tuple[ExperimentSpec, tuple[Any, ...]]) -> None:
    """Instant by instant, as a run that keeps up, and in batches larger than a gate: the same to the bit."""
    spec, expected = undisturbed
    for batch_slices in (1, 64):
        store, decider, outputs = _open("sqlite://", spec, batch_slices, 7)
        for output in outputs:
            decider.accept(0, output)
        decider.commit()
        decider.drain()
        assert _content(store) == expected


def test_a_crash_changes_nothing(undisturbed: tuple[ExperimentSpec, tuple[Any, ...]], tmp_path: Path) -> None:
    """Killed three times, each time after decisions that were not committed, and gone on with from the store."""
    spec, expected = undisturbed
    url = f"sqlite:///{tmp_path}/crash.db"
    for cut in (14, 17, 23):
        store, decider, outputs = _open(url, spec, 10, 25)
        for output in outputs[:cut]:
            decider.accept(0, output)
        store.close()
    store, decider, outputs = _open(url, spec, 10, 25)
    for output in outputs:
        decider.accept(0, output)
    decider.commit()
    decider.drain()
    assert _content(store) == expected
    experiment, found = look(store, "e")
    assert found.sample_ratio is not None
    assert (found.sample_ratio.p_value, found.sample_ratio.expected > 0) == (1.0, True)
    assert found.share == experiment.shares[-1].payload["share"]
    store.close()
