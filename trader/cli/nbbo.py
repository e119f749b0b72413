"""`trader data nbbo`: the national best bid and offer from venues' quotes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer

from trader.cli.common import JsonOption, err, print_json
from trader.cli.data import MapOption, OutOption, write_columns
from trader.cli.run import SymbolsOption, column_mapping, comma_list
from trader.core.errors import UserError

__all__ = ["register"]

_CROSSED_SHARE = 0.1
"""Above this share of crossed quotes, a file hardly holds what venues quote."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("nbbo", help=nbbo.__doc__)(nbbo)


def nbbo(
    file: Annotated[Path, typer.Argument(help="CSV or Parquet of quotes that name their venue.")],
    target: OutOption,
    rows: Annotated[
        str,
        typer.Option("--rows", help="What a row holds: the quote of its 'venue', or the national 'best' already."),
    ] = "venue",
    symbols: SymbolsOption = None,
    mapping: MapOption = None,
    zone: Annotated[str, typer.Option("--tz", help="Time zone of stamps that carry none, and of days.")] = "UTC",
    as_json: JsonOption = False,
) -> None:
    """Build the national best bid and offer, and write its changes as quotes that `trader run --data` replays.

    Example: trader data nbbo quotes.parquet --tz America/New_York --out nbbo.parquet
    """
    import dataclasses

    from trader.data.nbbo import national_quotes

    if rows not in ("venue", "best"):
        raise UserError(f"--rows {rows!r}; allowed are venue and best")
    made = national_quotes(
        file,
        rows=cast("Literal['venue', 'best']", rows),
        columns=column_mapping(mapping),
        timezone=zone,
        symbols=comma_list(symbols) or (),
    )
    names = made.universe.symbols
    columns: dict[str, Any] = {"symbol": [names[i] for i in made.data.symbol_id]}
    columns |= {name: column for name, column in made.data.columns().items() if name != "symbol_id"}
    write_columns(columns, target)
    counts = dataclasses.asdict(made.counts)
    if as_json:
        print_json({"file": str(target), "venues": made.venues, "left_out": made.left_out, **counts})
        return
    told = ", ".join(f"{name.replace('_', '-')} {count}" for name, count in {**counts, **made.left_out}.items())
    err.print(f"{len(names)} symbols, {len(made.venues)} venues in {target}: {told}", highlight=False, markup=False)
    if rows == "venue" and counts["crossed"] > _CROSSED_SHARE * max(counts["changes"], 1):
        err.print(
            "so many crossed quotes mean that the rows are no quotes of single venues; if each is a change of the "
            "national best, --rows best is right",
            highlight=False,
            markup=False,
        )
