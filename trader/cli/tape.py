"""`trader data tape`: time bars of the consolidated tape."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from trader.cli.common import err
from trader.cli.data import MapOption, OutOption, write_columns
from trader.cli.run import SymbolsOption, column_mapping, comma_list

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tape", help=tape.__doc__)(tape)


def tape(
    file: Annotated[Path, typer.Argument(help="CSV or Parquet of trades with their sale conditions.")],
    target: OutOption,
    rule: Annotated[str, typer.Option("--rule", help="Who may set prices: consolidated, ordinary or all.")],
    codes: Annotated[str, typer.Option("--codes", help="How conditions are written: flags, cta, utp or massive.")],
    seconds: Annotated[float, typer.Option("--seconds", min=1e-9, help="Length of a bar.")] = 60.0,
    symbols: SymbolsOption = None,
    mapping: MapOption = None,
    zone: Annotated[str, typer.Option("--tz", help="Time zone of stamps that carry none.")] = "UTC",
) -> None:
    """Turn trades into time bars, each price set by the trades whose sale conditions allow it.

    Example: trader data tape trades.parquet --rule consolidated --codes cta --out bars.parquet
    """
    from trader.bars.tape import tape_bars
    from trader.data.tape import read_tape

    read = read_tape(
        file,
        rule=cast("Any", rule),
        codes=cast("Any", codes),
        columns=column_mapping(mapping),
        timezone=zone,
        symbols=comma_list(symbols) or (),
    )
    names = read.universe.symbols
    made = tape_bars(read.last, read.high_low, read.volume, len(names), seconds)
    columns: dict[str, Any] = {"symbol": [names[i] for i in made.symbol_id]}
    columns |= {name: column for name, column in made.columns().items() if name != "symbol_id"}
    write_columns(columns, target)
    told = "".join(f"; {count} {reason.replace('_', ' ')}" for reason, count in read.left_out.items())
    err.print(
        f"{len(made)} bars of {len(names)} symbols in {target}, from {len(read.volume)} trades{told}",
        highlight=False,
        markup=False,
    )
