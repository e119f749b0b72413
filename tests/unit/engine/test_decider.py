"""The decider decides once on every batch, in order, whatever order and how often shards deliver."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trader.core.errors import DataError
from trader.core.market import Universe
from trader.core.protocols import FeedInfo, Prediction, Predictor
from trader.data.content import describe
from trader.data.replay import ReplayFeed
from trader.data.simulated import SimulatedMarket
from trader.data.simulation.ticks import simulate_trades
from trader.engine.build import build_decider
from trader.engine.coalesce import Coalescer
from trader.engine.decider import Decider
from trader.engine.history import feature_schema
from trader.engine.join import split_symbols
from trader.engine.shard import ShardOutput, build_shard
from trader.settings import Settings, load_settings
from trader.storage import RunRecord, Store

N_SYMBOLS = 5
SETTINGS = load_settings(None, None, {"feed": {"simulation": {"n_symbols": N_SYMBOLS, "n_days": 300}}})


class _Momentum:
    """Scores by the first feature; not a number until it is known."""

    context = 1

    def __call__(self, features: np.ndarray, n_context: int = 0) -> Prediction:
        score = np.nan_to_num(features[:, :, 0])
        return Prediction(score, {"first@1.0.0": score})


class _Sum:
    """Scores by the sum of the first feature over the last 40 instants: what was forgotten changes it."""

    context = 40

    def __init__(self) -> None:
        self.seen: list[int] = []

    def __call__(self, features: np.ndarray, n_context: int = 0) -> Prediction:
        self.seen.append(n_context)
        first = np.nan_to_num(features[:, :, 0])
        score = np.array([first[max(0, i - 39) : i + 1].sum(axis=0) for i in range(n_context, len(first))])
        return Prediction(score, {"first@1.0.0": score})


@pytest.fixture(scope="module")
def outputs() -> list[list[ShardOutput]]:
    """What two shards make of every batch."""
    feed = SimulatedMarket(SETTINGS.feed.simulation, seed=3, batch_slices=10)
    shards = [build_shard(feed.info, ids, SETTINGS) for ids in split_symbols(N_SYMBOLS, 2)]
    return [[shard.process(batch) for shard in shards] for batch in feed.batches()]


def _decider(
    folder: Path, name: str, commit_every: int = 1, predictor: Predictor | None = None, *, is_live: bool = False
) -> tuple[Store, Decider]:
    feed = SimulatedMarket(SETTINGS.feed.simulation, seed=3, batch_slices=10)
    store = Store.open(f"sqlite:///{folder}/{name}.db", synchronous="normal")
    if not store.runs():
        store.create_run(_record(feed.info, SETTINGS))
    decider = build_decider(
        run_id="r",
        info=dataclasses.replace(feed.info, span_ns=None) if is_live else feed.info,
        settings=SETTINGS,
        start_ns=feed.info.span_ns[0] + 60 * 86_400_000_000_000,
        symbol_ids=split_symbols(N_SYMBOLS, 2),
        predictor=predictor or _Momentum(),
        store=store,
        commit_every=commit_every,
    )
    return store, decider


def _record(info: FeedInfo, settings: Settings) -> RunRecord:
    whole = build_shard(info, np.arange(N_SYMBOLS, dtype=np.int32), settings)
    return RunRecord(
        run_id="r",
        mode="run",
        status="running",
        created_ns=1,
        ended_ns=None,
        seed=1,
        symbols=info.universe.symbols,
        settings=settings.model_dump(mode="json"),
        data_fingerprint="x",
        code_version="x",
        feature_names=feature_schema(whole, N_SYMBOLS).names,
        member_names=("first@1.0.0",),
        extra={},
    )


def _deliver(decider: Decider, outputs: Sequence[Sequence[ShardOutput]], order: Sequence[tuple[int, int]]) -> None:
    for batch, shard in order:
        decider.accept(shard, outputs[batch][shard])


def _fills(store: Store) -> list[dict[str, object]]:
    return store.fills("r").to_pylist()


def _in_order(n_batches: int) -> list[tuple[int, int]]:
    return [(batch, shard) for batch in range(n_batches) for shard in (0, 1)]


@pytest.fixture(scope="module")
def expected(outputs: list[list[ShardOutput]], tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """The fills of an undisturbed run."""
    store, decider = _decider(tmp_path_factory.mktemp("undisturbed"), "plain")
    _deliver(decider, outputs, _in_order(len(outputs)))
    return _fills(store)


def test_order_and_repeats_do_not_matter(
    outputs: list[list[ShardOutput]], expected: list[dict[str, object]], tmp_path: Path
) -> None:
    """Shuffled within a window and delivered twice: the same fills."""
    assert len(expected) > 100
    rng = np.random.default_rng(1)
    mixed = [pair for pair in _in_order(len(outputs)) for _ in range(2)]
    keys = np.arange(len(mixed)) + rng.uniform(0, 12, len(mixed))
    store, decider = _decider(tmp_path, "mixed")
    _deliver(decider, outputs, [mixed[i] for i in np.argsort(keys)])
    assert _fills(store) == expected


@pytest.mark.parametrize("cut", [3, 11, 17, 29])
def test_a_new_decider_goes_on_from_the_store(
    outputs: list[list[ShardOutput]], expected: list[dict[str, object]], tmp_path: Path, cut: int
) -> None:
    """After a crash, sending everything again gives the fills of an undisturbed run, each once."""
    store, decider = _decider(tmp_path, "broken", commit_every=25)
    _deliver(decider, outputs, _in_order(cut))
    store.close()
    store, decider = _decider(tmp_path, "broken", commit_every=25)
    assert decider.durable_batch < cut
    _deliver(decider, outputs, _in_order(len(outputs)))
    decider.commit()
    assert _fills(store) == expected


@pytest.fixture(scope="module")
def expected_sums(outputs: list[list[ShardOutput]], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The scores of a predictor that looks back, of an undisturbed run."""
    undisturbed = _Sum()
    store, decider = _decider(tmp_path_factory.mktemp("undisturbed"), "sums", predictor=undisturbed)
    _deliver(decider, outputs, _in_order(len(outputs)))
    assert undisturbed.seen[0] == 39
    assert set(undisturbed.seen) == {39}
    return store.decisions("r").score.tobytes()


@pytest.mark.parametrize("cut", [7, 8, 11, 29])
def test_a_new_decider_remembers_the_past(
    outputs: list[list[ShardOutput]], expected_sums: bytes, tmp_path: Path, cut: int
) -> None:
    """A predictor that looks back sees the same past after a crash, that of the warm-up included."""
    store, decider = _decider(tmp_path, "broken", commit_every=25, predictor=_Sum())
    _deliver(decider, outputs, _in_order(cut))
    store.close()
    again = _Sum()
    store, decider = _decider(tmp_path, "broken", commit_every=25, predictor=again)
    _deliver(decider, outputs, _in_order(len(outputs)))
    decider.commit()
    assert set(again.seen) == {39}
    assert store.decisions("r").score.tobytes() == expected_sums


def test_a_live_feed_may_bring_instants_again(
    outputs: list[list[ShardOutput]], expected: list[dict[str, object]], tmp_path: Path
) -> None:
    """A shard behind the last decision makes bars that are decided: they are late, and what follows is as before."""
    half = len(outputs) // 2
    again = [
        [dataclasses.replace(each, seq=batch + 5, first_seq=batch + 5) for each in both]
        for batch, both in enumerate(outputs)
    ]
    _, replay = _decider(tmp_path, "replay")
    _deliver(replay, outputs, _in_order(half))
    with pytest.raises(DataError, match="that of the slice before, is needed"):
        _deliver(replay, again, _in_order(len(again))[2 * (half - 5) :])
    store, live = _decider(tmp_path, "live", is_live=True)
    _deliver(live, outputs, _in_order(half))
    store, live = _decider(tmp_path, "live", is_live=True)
    _deliver(live, again, _in_order(len(again))[2 * (half - 5) :])
    assert live.counters.late == 5 * 10 * N_SYMBOLS
    assert _fills(store) == expected


def test_a_missing_shard_holds_the_decision(outputs: list[list[ShardOutput]], tmp_path: Path) -> None:
    """Nothing is decided on half of the symbols."""
    _, decider = _decider(tmp_path, "half")
    for batch in outputs:
        decider.accept(0, batch[0])
    assert decider.next_batch == 0
    decider.accept(1, outputs[0][1])
    assert decider.next_batch == 1


def _trade_ticks(url: str, silence_ns: int) -> tuple[Any, ...]:
    """Trade ticks of which few batches complete a bar, sparing the messages of a silence; return what was decided."""
    trades = simulate_trades(20_000, N_SYMBOLS, seed=2)
    info = describe("ticks", trades, Universe(tuple("ABCDE")))
    settings = load_settings(None, None, {"bars": {"kind": "dollar", "size": 1e6}})
    ids = split_symbols(N_SYMBOLS, 2)
    store = Store.open(url, synchronous="normal")
    store.create_run(_record(info, settings))
    decider = build_decider(
        run_id="r",
        info=info,
        settings=settings,
        start_ns=0,
        symbol_ids=ids,
        predictor=_Momentum(),
        store=store,
        commit_every=1,
    )
    shards = [build_shard(info, own, settings) for own in ids]
    spares = [Coalescer(silence_ns, itertools.count().__next__) for _ in ids]
    for batch in ReplayFeed(trades, info, batch_rows=37).batches():
        for shard, spare in enumerate(spares):
            output = spare.add(shards[shard].process(batch))
            if output is not None:
                decider.accept(shard, output)
    for shard, spare in enumerate(spares):
        held = spare.flush()
        if held is not None:
            decider.accept(shard, held)
    table = store.decisions("r")
    return table.ts_ns.tolist(), table.target.tolist(), table.equity.tolist(), decider.counters


@pytest.fixture(scope="module")
def unspared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ...]:
    return _trade_ticks(f"sqlite:///{tmp_path_factory.mktemp('ticks')}/plain.db", 0)


@pytest.mark.parametrize("silence_ns", [3, 1000])
def test_held_back_silence_changes_nothing(unspared: tuple[Any, ...], tmp_path: Path, silence_ns: int) -> None:
    """Ticks of which few batches complete a bar: sparing the messages of the others gives the same decisions."""
    spared = _trade_ticks(f"sqlite:///{tmp_path}/spared.db", silence_ns)
    assert len(unspared[0]) > 50
    assert unspared[3].ticks == 20_000
    assert str(spared) == str(unspared)


def test_a_symbol_without_bars_keeps_its_features(outputs: list[list[ShardOutput]]) -> None:
    """Dropping a shard's bars from a batch carries the features of its last bar forward."""
    from trader.engine.join import join_shards

    ids = split_symbols(N_SYMBOLS, 2)
    first, second = outputs[20]
    silent = dataclasses.replace(second, panel=second.panel.rows(0, 0), features=second.features[:0])
    joined = join_shards([first, silent], ids)
    assert np.isnan(joined.panel.close[:, ids[1]]).all()
    for row in joined.features:
        np.testing.assert_array_equal(row[ids[1]], second.carry)
