"""Panel files as a stream of blocks: Ray Data reads ahead while a worker learns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import ray.data
from numpy.typing import NDArray
from ray.exceptions import RayTaskError

from trader.core.errors import TraderError
from trader.models.panel_files import PanelBlock, PanelFiles, Span

__all__ = ["stream"]

_READERS = 2
_COLUMNS = ("ts_ns", "features", "target", "weight")


def stream(panel: PanelFiles, spans: Sequence[Span], n_context: int) -> Iterator[PanelBlock]:
    """Yield the blocks of some spans in their order, each with the past before it; files are checked when read.

    At most two files are read at a time, by tasks anywhere in the cluster, and a few wait in the object store: as
    many as its memory allows, whatever the size of the panel. The tasks ask for no processor of their own, so they
    run beside workers that hold them all.
    """
    if not spans:
        return
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    context.raise_original_map_exception = True

    def read(batch: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        number = int(batch["number"][0])
        block = panel.read_span(spans[number], n_context)
        columns = {name: getattr(block, name) for name in _COLUMNS}
        return columns | {
            "number": np.full(block.ts_ns.size, number),
            "n_context": np.full(block.ts_ns.size, block.n_context),
        }

    numbers = [{"number": number} for number in range(len(spans))]
    data = ray.data.from_items(numbers, override_num_blocks=len(spans)).map_batches(
        read, batch_size=1, num_cpus=0, concurrency=min(_READERS, len(spans))
    )
    rows: list[dict[str, NDArray[Any]]] = []
    current = 0
    for batch in _own_errors(data.iter_batches(batch_size=None, prefetch_batches=1)):
        for part in _split(batch):
            if rows and part["number"][0] != current:
                yield _block(rows, spans[current])
                rows = []
            current = int(part["number"][0])
            rows.append(part)
    yield _block(rows, spans[current])


def _own_errors(batches: Iterable[dict[str, NDArray[Any]]]) -> Iterator[dict[str, NDArray[Any]]]:
    """Pass batches on; where a task raised an error of ours, raise that one and not Ray's account of it."""
    try:
        yield from batches
    except RayTaskError as error:
        if not isinstance(error.cause, TraderError):
            raise
        first_line = str(error.cause).partition("\n")[0]  # Ray Data adds advice below it
        raise type(error.cause)(first_line) from None


def _split(batch: dict[str, NDArray[Any]]) -> list[dict[str, NDArray[Any]]]:
    """Cut a batch where its files change: Ray may join small ones, and cut large ones."""
    cuts = np.flatnonzero(np.diff(batch["number"])) + 1
    columns = {name: np.split(column, cuts) for name, column in batch.items()}
    return [{name: parts[place] for name, parts in columns.items()} for place in range(cuts.size + 1)]


def _block(rows: list[dict[str, NDArray[Any]]], span: Span) -> PanelBlock:
    columns = (np.concatenate([part[name] for part in rows]) if len(rows) > 1 else rows[0][name] for name in _COLUMNS)
    return PanelBlock(span.start, int(rows[0]["n_context"][0]), *columns)
