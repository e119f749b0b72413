"""The store: the append-only record that runs are resumed, audited and reported from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import URL, Connection, Engine, Table, update

from trader.core.decision import Decision, DecisionBlock
from trader.core.errors import DataError, NotFoundError
from trader.core.events import Event
from trader.core.orders import FillBatch
from trader.storage import migrate, reading, rows, schema, tracing
from trader.storage.codec import to_json
from trader.storage.engine import Synchronous, insert_sql, make_engine, parse_url, store_errors, writing
from trader.storage.experiment_tables import experiment_events, variant_marks
from trader.storage.records import (
    Appended,
    DecisionTable,
    EventRecord,
    FinalStatus,
    OrderTrace,
    RunRecord,
    ShareChange,
    VariantMark,
)

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Store"]


class Store:
    """Runs, decisions, orders, fills and events in one database.

    `append` writes in one transaction, and what it has returned from survives the death of the process. Writing
    the same thing again changes nothing, so after a crash a run may repeat what it is not sure of. One process
    writes a run at a time; any number may read. Open one store per process: it does not travel.

    >>> store = Store.open("sqlite://")
    >>> store.create_run(RunRecord(run_id="demo", mode="backtest", created_ns=0, seed=7, symbols=("AAPL",)))
    >>> store.last_seq("demo")
    -1
    >>> store.close()
    """

    def __init__(self, engine: Engine, url: URL) -> None:
        self._engine = engine
        self._url = url
        self._runs: dict[str, RunRecord] = {}
        self._last: dict[str, int] = {}
        self._inserts = {table: insert_sql(engine, table) for table in schema.METADATA.tables.values()}

    @classmethod
    def open(cls, url: str, *, synchronous: Synchronous = "full") -> Self:
        """Open a database, creating or migrating it as needed.

        Parameters
        ----------
        url : str
            `sqlite:///path` (folders are created), `sqlite://` (in memory, one thread) or
            `postgresql+psycopg://user:password@host/database`.
        synchronous : {"full", "normal"}
            SQLite only: `full` commits survive a power cut, `normal` ones a killed process.

        Raises
        ------
        SettingsError
            If `url` is not one of these.
        StoreError
            If the database cannot be reached, read or written, or a newer version wrote it.
        """
        parsed = parse_url(url)
        with store_errors(parsed):
            engine = make_engine(parsed, synchronous)
            try:
                migrate.upgrade(engine)
            except BaseException:
                engine.dispose()
                raise
        return cls(engine, parsed)

    def close(self) -> None:
        """Close the connections; the store can no longer be used."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Runs

    def create_run(self, run: RunRecord) -> None:
        """Add a run; one whose id exists raises DataError."""
        with self._write() as connection:
            if not self._insert(connection, schema.runs, [rows.run_row(run)]):
                raise DataError(f"run_id={run.run_id!r} exists already; every run needs its own")

    def run(self, run_id: str) -> RunRecord:
        """Return a run; an unknown one raises NotFoundError."""
        with self._read() as connection:
            found = reading.read_runs(connection, run_id)
        if not found:
            raise NotFoundError(f"run {run_id!r} does not exist in store {self._name}")
        return found[0]

    def runs(self) -> list[RunRecord]:
        """Return all runs, oldest first."""
        with self._read() as connection:
            return reading.read_runs(connection)

    def finish_run(self, run_id: str, status: FinalStatus, ended_ns: int, summary: Mapping[str, Any]) -> None:
        """Set how a run ended; an unknown one raises NotFoundError."""
        self._change_run(run_id, status=status, ended_ns=ended_ns, summary=to_json(summary))

    def reopen_run(self, run_id: str) -> RunRecord:
        """Set a run back to "running", to resume it, and return it; an unknown one raises NotFoundError."""
        self._change_run(run_id, status="running", ended_ns=None)
        return self.run(run_id)

    # Writing

    def append(
        self,
        run_id: str,
        decisions: Sequence[Decision | DecisionBlock],
        *,
        traces: Sequence[str],
        loop_state: Mapping[str, Any] | None = None,
        latency_ns: Sequence[int | None] | None = None,
        features: Sequence[NDArray[np.float64] | None] | None = None,
        feed_seq: Sequence[int | None] | None = None,
        events: Sequence[Event] = (),
        marks: Sequence[VariantMark] = (),
        shares: Sequence[ShareChange] = (),
    ) -> Appended:
        """Write consecutive decisions, and all that happened in them, in one transaction.

        Orders, denials and fills become rows of their own; denials, withdrawals and state changes also events.
        Rows that exist are left as they are and counted.

        Parameters
        ----------
        run_id : str
            An existing run.
        decisions : sequence of Decision or DecisionBlock
            With consecutive `seq`, the first at most one above `last_seq`. Blocks are written faster.
        traces : sequence of str
            Trace id of each decision.
        loop_state : mapping, optional
            What the loop needs to go on after the last decision, JSON-ready (NaN allowed). It replaces the one
            before it, unless that belongs to a later decision.
        latency_ns : sequence of int or None, optional
            From data to decision.
        features : sequence of ndarray of shape (n_symbols, n_features) or None, optional
            What the models saw; kept for decisions that wanted an order.
        feed_seq : sequence of int or None, optional
            The batch of the feed that each decision was made on.
        events : sequence of Event, optional
            Others, of this run.
        marks : sequence of VariantMark, optional
            Equity of the variants of an experiment, after decisions that are written now or were before.
        shares : sequence of ShareChange, optional
            What these decisions changed of the challenger's share; events of the experiment.

        Returns
        -------
        Appended
            How many rows were new, and how many repeats.

        Raises
        ------
        NotFoundError
            If the run does not exist.
        DataError
            If decisions would leave a hole, or a list or an array has the wrong length.
        StoreError
            If the database refuses; nothing is written then.
        """
        run = self._known(run_id)
        blocks = [each if isinstance(each, DecisionBlock) else DecisionBlock.of(each) for each in decisions]
        seqs = [seq for block in blocks for seq in block.seq.tolist()]
        extras = rows.Extras(traces, latency_ns, features, feed_seq)
        extras.check(len(seqs))
        all_events = [*rows.decision_events(run, blocks, traces), *events]
        batch = {
            schema.decisions: rows.decision_rows(run, blocks, extras),
            schema.orders: rows.order_rows(run_id, blocks),
            schema.fills: rows.fill_rows(run_id, blocks),
            schema.events: [rows.event_row(event) for event in all_events],
            variant_marks: [(run_id, *mark) for mark in marks],
            experiment_events: [rows.share_row(run_id, change) for change in shares],
        }
        state = None if loop_state is None else to_json(loop_state)
        with self._write() as connection:
            last = self._check_order(connection, run_id, seqs)
            added = {table: self._insert(connection, table, content) for table, content in batch.items()}
            if state is not None:
                connection.exec_driver_sql(self._inserts[schema.loop_state], (run_id, last, state))
        self._last[run_id] = max(last, self._last.get(run_id, -1))
        total = sum(len(content) for content in batch.values())
        return Appended(
            decisions=added[schema.decisions],
            orders=added[schema.orders],
            fills=added[schema.fills],
            events=added[schema.events],
            repeated=total - sum(added.values()),
        )

    def record_event(self, event: Event) -> None:
        """Write one event; one that equals it in every field is the same event, and changes nothing."""
        self._known(event.run_id)
        with self._write() as connection:
            self._insert(connection, schema.events, [rows.event_row(event)])

    def record_cash(self, run_id: str, movement_id: int, ts_ns: int, amount: float, reason: str) -> None:
        """Write a deposit (positive) or withdrawal of cash; a `movement_id` that exists changes nothing."""
        self._known(run_id)
        with self._write() as connection:
            self._insert(connection, schema.cash_movements, [(run_id, movement_id, ts_ns, amount, reason)])

    # Reading

    def last_seq(self, run_id: str) -> int:
        """Return the number of the last decision, -1 if there is none."""
        with self._read() as connection:
            return reading.read_last_seq(connection, run_id)

    def loop_state(self, run_id: str) -> dict[str, Any] | None:
        """Return the state that the latest append left, None if none did."""
        with self._read() as connection:
            return reading.read_loop_state(connection, run_id)

    def decisions(self, run_id: str) -> DecisionTable:
        """Return the decisions of a run as arrays."""
        run = self._known(run_id)
        with self._read() as connection:
            return reading.read_decisions(connection, run)

    def signals(self, run_id: str) -> pa.Table:
        """Return scores and targets in long form: ts, symbol, score, target, and a column a member."""
        return reading.signal_table(self._known(run_id), self.decisions(run_id))

    def recent_features(self, run_id: str, n_slices: int) -> NDArray[np.float64]:
        """Return what `reading.read_recent_features` reads."""
        run = self._known(run_id)
        with self._read() as connection:
            return reading.read_recent_features(connection, run, n_slices)

    def recent_prices(self, run_id: str, n_slices: int) -> NDArray[np.float64]:
        """Return what `reading.read_recent_prices` reads."""
        run = self._known(run_id)
        with self._read() as connection:
            return reading.read_recent_prices(connection, run, n_slices)

    def orders(self, run_id: str) -> pa.Table:
        """Return every order that was wanted, with the gate's verdict, by id."""
        run = self._known(run_id)
        with self._read() as connection:
            return reading.read_orders(connection, run)

    def fills(self, run_id: str) -> pa.Table:
        """Return the fills in the order they happened."""
        run = self._known(run_id)
        with self._read() as connection:
            return reading.read_fills(connection, run)

    def fill_batch(self, run_id: str) -> FillBatch:
        """Return the fills as the ledger takes them, in the order they happened."""
        with self._read() as connection:
            return reading.read_fill_batch(connection, self._known(run_id).run_id)

    def cash_movements(self, run_id: str) -> pa.Table:
        """Return deposits and withdrawals: movement_id, ts, amount, reason."""
        with self._read() as connection:
            return reading.read_cash(connection, run_id)

    def events(self, run_id: str, kind: str | None = None) -> list[EventRecord]:
        """Return the events of a run, or those of one kind, in the order they were written."""
        with self._read() as connection:
            return reading.read_events(connection, run_id, kind)

    def variant_marks(self, run_id: str) -> list[VariantMark]:
        """Return the equity of the variants of a run's experiment, by decision; empty if it had none."""
        with self._read() as connection:
            return reading.read_variant_marks(connection, self._known(run_id).run_id)

    def trace_order(self, run_id: str, order_id: int | str) -> OrderTrace:
        """Return where an order came from and what became of it.

        Raises
        ------
        NotFoundError
            If the run or the order does not exist.
        DataError
            If `order_id` is a text of another form than O-00000003-0001.
        """
        run = self._known(run_id)
        number = tracing.parse_order_id(order_id) if isinstance(order_id, str) else order_id
        with self._read() as connection:
            return tracing.trace_order(connection, run, number)

    # Inside

    @property
    def _name(self) -> str:
        return self._url.render_as_string(hide_password=True)

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with store_errors(self._url), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with store_errors(self._url), writing(self._engine) as connection:
            yield connection

    def _known(self, run_id: str) -> RunRecord:
        if run_id not in self._runs:
            self._runs[run_id] = self.run(run_id)
        return self._runs[run_id]

    def _change_run(self, run_id: str, **values: Any) -> None:
        with self._write() as connection:
            changed = connection.execute(update(schema.runs).where(schema.runs.c.run_id == run_id).values(values))
            if changed.rowcount == 0:
                raise NotFoundError(f"run {run_id!r} does not exist in store {self._name}")

    def _check_order(self, connection: Connection, run_id: str, seqs: Sequence[int]) -> int:
        """Return the last number after `seqs` were written; a hole raises DataError."""
        if not seqs:
            return reading.read_last_seq(connection, run_id)
        if list(seqs) != list(range(seqs[0], seqs[0] + len(seqs))):
            raise DataError(f"decisions have seq {list(seqs)[:8]}; consecutive numbers are needed")
        last = self._last.get(run_id, -1)
        if seqs[0] > last + 1:
            last = reading.read_last_seq(connection, run_id)
            if seqs[0] > last + 1:
                raise DataError(f"the first decision has seq={seqs[0]}, but run {run_id} ends at {last}; no holes")
        return int(seqs[-1])

    def _insert(self, connection: Connection, table: Table, content: list[tuple[Any, ...]]) -> int:
        """Insert rows that do not exist yet and return how many there were."""
        if not content:
            return 0
        return connection.exec_driver_sql(self._inserts[table], content).rowcount
