"""Sinks of `trader feeds record`, and `trader feeds tail`."""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trader.cli.common import err, out
from trader.core.errors import OperationError, ServiceUnavailableError, SettingsError

if TYPE_CHECKING:
    from trader.core.protocols import FeedInfo, MarketBatch
    from trader.data.live.troubles import Trouble
    from trader.data.sinks import Packed
    from trader.settings import SinkSettings

__all__ = ["Recording", "SinkOption", "tail"]

SinkOption = Annotated[
    list[str] | None,
    typer.Option("--sink", metavar="ADDRESS", help="redis://HOST:PORT/STREAM, kafka://HOST:PORT/TOPIC or a folder."),
]


class Recording:
    """Several sinks for one feed, whose troubles are shown.

    Raises
    ------
    SettingsError
        If there is no place to write to.
    ServiceUnavailableError
        If one does not answer now; later it may go away and come back.
    """

    def __init__(self, folder: Path | None, sinks: Sequence[str], info: FeedInfo, settings: SinkSettings) -> None:
        from trader.data.sinks import QueuedSink, open_sink
        from trader.engine.tap import Tap

        targets = [*([] if folder is None else [str(folder)]), *sinks]
        if not targets:
            raise SettingsError("neither --out nor --sink is given; at least one place to write to is needed")
        self._folder = folder
        source = f"{info.name}-{uuid.uuid4().hex[:12]}"
        self._sinks: list[QueuedSink] = []
        self._tap = Tap((), ())
        try:
            for target in targets:
                self._sinks.append(open_sink(target, info.universe, source, settings))
                self._sinks[-1].check()
        except BaseException:
            self.close(0.0)
            raise
        self._tap = Tap(self._sinks, ())

    def put(self, batch: MarketBatch) -> None:
        """Take a batch, and show what troubles the sinks."""
        for sink in self._sinks:
            sink.put(batch)
        self._show(at_end=False)

    def tell(self, troubles: Sequence[Trouble]) -> None:
        """Show what went wrong, and keep it in `troubles.jsonl` beside the rows: what is missing belongs to them."""
        for trouble in troubles:
            text = f"{trouble.kind} {trouble.source} {trouble.symbol}: {trouble.detail}"
            err.print(text, highlight=False, markup=False)
        if troubles and self._folder is not None:
            import orjson

            lines = b"".join(orjson.dumps(trouble, option=orjson.OPT_APPEND_NEWLINE) for trouble in troubles)
            with (self._folder / "troubles.jsonl").open("ab") as file:
                file.write(lines)

    def close(self, timeout_s: float) -> None:
        """Write what waits for at most `timeout_s`."""
        for sink in self._sinks:
            sink.begin_close(timeout_s)
        for sink in self._sinks:
            sink.close()
        self._show(at_end=True)

    def found(self) -> dict[str, Any]:
        """Return rows and files written to the first place, and what became of the rows of each."""
        from trader.data.sinks.parquet import ParquetSink

        statuses = [sink.status() for sink in self._sinks]
        places = {
            status.name: {"written": status.written, "repeated": status.repeated, "dropped": dict(status.dropped)}
            for status in statuses
        }
        files = sum(sink.files for sink in self._sinks if isinstance(sink, ParquetSink))
        return {"rows": statuses[0].written, "files": files, "sinks": places}

    def raise_if_dropped(self) -> None:
        """Raise OperationError if a sink has let go of rows."""
        for sink in self._sinks:
            status = sink.status()
            if status.dropped_rows:
                counts = ", ".join(f"{reason} {count}" for reason, count in status.dropped.items())
                why = f"; {status.trouble}" if status.trouble else ""
                raise OperationError(f"{status.name}: {status.dropped_rows} rows were not written ({counts}){why}")

    def _show(self, *, at_end: bool) -> None:
        for event in self._tap.events("", at_end=at_end):
            text = f"{event.sink}: {event.trouble or 'back'}; {event.dropped} rows dropped"
            err.print(text, highlight=False, markup=False)


def tail(
    address: Annotated[str, typer.Argument(help="redis://HOST:PORT/STREAM or kafka://HOST:PORT/TOPIC.")],
    group: Annotated[str, typer.Option("--group", help="Groups read independently; a new one begins at the oldest.")],
    consumer: Annotated[str, typer.Option("--consumer", help="One name a process; the default is the host's.")] = "",
    count: Annotated[int, typer.Option("--count", min=0, help="Batches to show; 0 goes on until Ctrl-C.")] = 0,
    rows: Annotated[int, typer.Option("--rows", min=0, help="Rows of each batch to show.")] = 3,
    idle: Annotated[float | None, typer.Option("--idle", help="End when nothing came for so many seconds.")] = None,
) -> None:
    """Show what a sink wrote, from where the group is; what is shown is not shown to the group again.

    Example: trader feeds tail redis://localhost/ticks --group desk --count 5
    """
    shown, heard = 0, time.monotonic()
    with _reader(address, group, consumer or socket.gethostname()) as reader:
        while not count or shown < count:
            try:
                entries = reader.read(min(16, count - shown) if count else 16)
            except ServiceUnavailableError as error:
                if idle is not None and time.monotonic() - heard >= idle:
                    raise
                err.print(str(error), highlight=False, markup=False)
                time.sleep(1.0)
                continue
            for entry in entries:
                for line in _lines(entry, rows):
                    out.print(line, highlight=False, markup=False, soft_wrap=True)
            reader.ack(entries)
            shown += len(entries)
            heard = time.monotonic() if entries else heard
            if not entries and idle is not None and time.monotonic() - heard >= idle:
                return


def _reader(address: str, group: str, consumer: str) -> Any:
    from trader.data.sinks.kafka import KafkaReader
    from trader.data.sinks.open import kafka_place, redis_place
    from trader.data.sinks.redis_reader import RedisStreamReader

    if address.startswith("kafka://"):
        return KafkaReader(*kafka_place(address), group)
    return RedisStreamReader(*redis_place(address), group, consumer)


def _lines(entry: Packed, n_rows: int) -> Iterator[str]:
    from trader.data.content import event_times, kind_of

    batch = entry.batch
    yield f"{entry.id} {entry.source} #{entry.number}: {len(batch)} {kind_of(batch)}"
    stamps = event_times(batch)[:n_rows].astype("datetime64[ns]")
    columns = {
        name: column for name, column in batch.columns().items() if name != "symbol_id" and not name.startswith("ts_")
    }
    for row, stamp in enumerate(stamps):
        known = {name: column[row] for name, column in columns.items() if column[row] == column[row]}  # NaN is not
        values = " ".join(f"{name}={value:g}" for name, value in known.items())
        yield f"  {stamp} {entry.universe.symbols[batch.symbol_id[row]]} {values}"
