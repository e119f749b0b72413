"""`trader risk greeks`: sensitivities of a book of options, and what moves of the market would do to it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from trader.cli.common import JsonOption, out, print_json

if TYPE_CHECKING:
    from risk.options.book import ExplainedMove

__all__ = ["register"]

_UNITS = {
    "value": "value",
    "delta": "delta",
    "gamma": "gamma",
    "vega": "vega",
    "theta": "theta",
    "rho": "rho",
    "vanna": "vanna",
    "volga": "volga",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("greeks", help=greeks.__doc__)(greeks)


def greeks(
    positions: Annotated[Path, typer.Option("--positions", help="CSV or Parquet, one position a row.")],
    as_of: Annotated[str | None, typer.Option("--as-of", metavar="DATE", help="Day of valuation; today.")] = None,
    rate: Annotated[float, typer.Option("--rate", help="Interest, where the file has none.")] = 0.0,
    dividend: Annotated[float, typer.Option("--dividend", help="Dividend yield, where the file has none.")] = 0.0,
    spot_move: Annotated[
        list[float] | None, typer.Option("--spot", help="Relative change of spot to explain; repeat for more.")
    ] = None,
    volatility_move: Annotated[float, typer.Option("--volatility", help="Change of volatility with it.")] = 0.0,
    days: Annotated[float, typer.Option("--days", min=0.0, help="Calendar days with it.")] = 1.0,
    as_json: JsonOption = False,
) -> None:
    """Show Greeks in money, by underlying, and set the delta-gamma-vega P&L of moves beside a full revaluation.

    Columns of the file: underlying, kind, strike, expiry (or years), quantity, spot, volatility (or price), and where
    wanted multiplier, rate, dividend, style (american, asian, down-out, …) and barrier.

    Example: trader risk greeks --positions options.csv --rate .04 --spot -.1 --spot .1 --volatility .05
    """
    from risk.options.book import MONEY_GREEKS, Move
    from risk.options.files import read_options

    book = read_options(positions, as_of=_day(as_of), rate=rate, dividend=dividend)
    by_underlying = book.by_underlying()
    total = {key: sum(sums[key] for sums in by_underlying.values()) for key in MONEY_GREEKS}
    moves = [book.explain(Move(x, volatility_move, days)) for x in spot_move or (-0.2, -0.1, -0.05, 0.05, 0.1, 0.2)]
    if as_json:
        money = book.money()
        rows = [
            {"underlying": name, "style": style, "strike": strike, "volatility": volatility}
            | {key: float(money[key][i]) for key in MONEY_GREEKS}
            for i, (name, style, strike, volatility) in enumerate(
                zip(book.underlying, book.style, book.strike.tolist(), book.volatility.tolist(), strict=True)
            )
        ]
        found = {"positions": rows, "by_underlying": by_underlying, "total": total}
        print_json(found | {"moves": [move.to_dict() for move in moves]})
        return
    table = Table("underlying", *(_UNITS[key] for key in MONEY_GREEKS))
    for name, sums in {**by_underlying, "total": total}.items():
        table.add_row(name, *(_short(sums[key]) for key in MONEY_GREEKS), style="bold" if name == "total" else None)
    out.print(table)
    out.print(
        "delta: times spot; gamma: its change when spot rises 1 %; vega: a volatility point; theta: a calendar day; "
        "rho: a basis point; vanna, volga: change of delta and vega by a volatility point",
        style="dim",
    )
    out.print(_moves_table(moves))


def _moves_table(moves: list[ExplainedMove]) -> Table:
    first = moves[0].move
    table = Table(title=f"P&L with volatility {first.volatility:+.1%} after {first.days:g} days")
    for name in ("spot", "delta", "gamma", "vega", "theta", "cross", "sum", "full", "rest"):
        table.add_column(name, justify="right")
    for found in moves:
        terms = (found.delta, found.gamma, found.vega, found.theta, found.cross, found.approximate, found.full)
        table.add_row(f"{found.move.spot:+.1%}", *map(_short, (*terms, found.full - found.approximate)))
    return table


def _short(value: float) -> str:
    """Return three or four digits with k, M or G, so that a table fits a terminal."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            scaled = value / (1e3 if letter == "k" else size)
            return f"{scaled:.1f}{letter}" if abs(scaled) < 100 else f"{scaled:.0f}{letter}"
    return f"{value:,.0f}"


def _day(text: str | None) -> dt.date:
    from trader.core.errors import UserError

    if text is None:
        return dt.datetime.now(dt.UTC).date()
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise UserError(f"--as-of {text!r} is no day; YYYY-MM-DD is allowed") from None
