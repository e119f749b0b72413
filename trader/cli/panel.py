"""`trader data panel`: training data larger than memory, as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trader.cli.common import ConfigOption, SetOption, err, read_settings
from trader.cli.data import FileArgument, KindOption, MapOption, ZoneOption
from trader.cli.run import BarsOption, FeedOption, SymbolsOption, TrainEndOption, feed_overrides

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("panel", help=panel.__doc__)(panel)


def panel(
    target: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write; must not be there.")],
    file: FileArgument = None,
    context: Annotated[int, typer.Option("--context", min=1, help="Longest context that models may have.")] = 100,
    file_mb: Annotated[float, typer.Option("--file-mb", min=0.01, help="Size of a file, about.")] = 16.0,
    feed: FeedOption = None,
    kind: KindOption = None,
    mapping: MapOption = None,
    zone: ZoneOption = None,
    bars: BarsOption = None,
    symbols: SymbolsOption = None,
    train_end: TrainEndOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Write features and labels as panel files, which models learn from without holding them in memory.

    Example: trader data panel prices.parquet --context 100 --train-end 2019-12-31 --out panel
    """
    from trader.engine.panel_data import write_panel
    from trader.engine.training_set import training_feed
    from trader.reporting.formats import plural
    from trader.reporting.live import LiveView

    overrides = feed_overrides(
        data=file, kind=kind, mapping=mapping, zone=zone, feed=feed, symbols=symbols, bars=bars
    ) | {"models": {"train_end": train_end}}
    settings = read_settings(None, config, assignments, overrides)
    opened, end_ns = training_feed(settings)
    with LiveView(err) as view:
        written = write_panel(
            opened,
            settings,
            end_ns,
            target,
            context=context,
            file_bytes=int(file_mb * 2**20),
            on_progress=view.progress,
        )
    size = sum((target / part.name).stat().st_size for part in written.files) / 2**20
    header = written.header
    err.print(
        f"{len(written)} instants of {plural(len(header.symbols), 'symbol')}, "
        f"{plural(len(header.feature_names), 'feature')}, {written.stats(0, len(written)).n_labels} labels: "
        f"{plural(len(written.files), 'file')} in {target}, {size:.1f} MB",
        highlight=False,
        markup=False,
    )
