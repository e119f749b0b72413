"""Keeps decisions until they are committed to the store, one transaction a group."""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.decision import DecisionBlock
from trader.core.events import Event, trace_id_of
from trader.engine.writer import Group, StoreWriter
from trader.storage import ShareChange, Store, VariantMark

__all__ = ["Recorder"]


class Recorder:
    """Buffers decisions and writes them together with the loop's state.

    Decisions and the state they lead to are committed in one transaction: after a crash the store holds both
    or neither, so a restarted loop neither loses a fill nor makes one twice.

    Parameters
    ----------
    store : Store
    run_id : str
    writer : StoreWriter
        Has the commits written; where the store is away they wait there.
    commit_every : int
        Decisions per transaction.
    every_feature : bool, default=False
        Store the features of every decision, not only of those that wanted orders: a sequence model reads them
        again after a restart.
    """

    def __init__(
        self, store: Store, run_id: str, writer: StoreWriter, *, commit_every: int, every_feature: bool = False
    ) -> None:
        self._store = store
        self._run_id = run_id
        self.writer = writer
        self._commit_every = commit_every
        self._every_feature = every_feature
        self._blocks: list[DecisionBlock] = []
        self._count = 0
        self._traces: list[str] = []
        self._latency: list[int | None] = []
        self._features: list[NDArray[np.float64] | None] = []
        self._feed_seq: list[int | None] = []
        self._events: list[Event] = []
        self._marks: list[VariantMark] = []
        self._shares: list[ShareChange] = []

    @property
    def is_due(self) -> bool:
        """Whether enough has gathered for a commit."""
        return self._count >= self._commit_every

    def add(
        self, decisions: DecisionBlock, features: NDArray[np.float64], latency_ns: int | None, feed_seq: int
    ) -> None:
        """Keep decisions on feed batch `feed_seq`; features are of shape (n_decisions, n_symbols, n_features).

        Each decision has the latency given.
        """
        count = len(decisions)
        keep = [True] * count if self._every_feature else decisions.wanted_orders().tolist()
        self._blocks.append(decisions)
        self._count += count
        self._traces += [trace_id_of(self._run_id, seq) for seq in decisions.seq.tolist()]
        self._latency += [latency_ns] * count
        self._features += [seen if kept else None for seen, kept in zip(features, keep, strict=True)]
        self._feed_seq += [feed_seq] * count

    def add_event(self, event: Event) -> None:
        """Keep an event of decisions that are added before the next commit."""
        self._events.append(event)

    def add_marks(self, marks: Sequence[VariantMark], shares: Sequence[ShareChange]) -> None:
        """Keep what became of an experiment's variants in decisions that are added before the next commit."""
        self._marks += marks
        self._shares += shares

    def commit(self, loop_state: Mapping[str, Any], mark: int) -> None:
        """Have everything kept and the state written, in one transaction; `writer.durable_mark` says when it is."""
        write = functools.partial(
            self._store.append,
            self._run_id,
            self._blocks,
            traces=self._traces,
            loop_state=loop_state,
            latency_ns=self._latency,
            features=self._features,
            feed_seq=self._feed_seq,
            events=self._events,
            marks=self._marks,
            shares=self._shares,
        )
        self._marks, self._shares = [], []
        blocks, count, features = self._blocks, self._count, self._features
        self._blocks, self._count, self._events = [], 0, []
        self._traces, self._latency, self._features, self._feed_seq = [], [], [], []
        n_bytes = 0 if self.writer.gone_s == 0.0 else _size([loop_state, blocks, features])
        self.writer.put(Group(mark, count, n_bytes, write))


def _size(value: Any) -> int:
    """Return about how many bytes of memory a state, a block or an array takes."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, DecisionBlock):
        return sum(_size(getattr(value, field.name)) for field in dataclasses.fields(value))
    if isinstance(value, Mapping):
        return sum(_size(item) for item in value.values())
    if isinstance(value, list | tuple):
        return sum(_size(item) for item in value)
    return sys.getsizeof(value)
