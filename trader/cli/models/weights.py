"""`trader models weights`: how much each member of an ensemble counts, and from when on."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.table import Table

from trader.cli.common import ConfigOption, JsonOption, PresetOption, SetOption, err, out, print_json, read_settings
from trader.cli.models.common import StoreOption, WhoOption, user, when
from trader.core.errors import UserError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("weights", help=weights.__doc__)(weights)


def weights(
    change: Annotated[
        str | None, typer.Argument(metavar="NAME=WEIGHT,…", help="New weights; without them the known ones are listed.")
    ] = None,
    ensemble: Annotated[str, typer.Option("--ensemble", help="As models.ensemble.")] = "default",
    start: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="First day (UTC) that they count; now, if left out.")
    ] = None,
    seen_until: Annotated[
        str | None,
        typer.Option("--seen-until", metavar="DAY", help="Last day of the data that they were derived from."),
    ] = None,
    why: Annotated[str, typer.Option("--why", help="Kept for good.")] = "set from the command line",
    who: WhoOption = None,
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show or change the weights of an ensemble's members; until some are set, all weigh the same.

    Weights never count for instants before they are effective, nor for instants that they were derived from.

    Example: trader models weights momentum=1,transformer=2 --from 2018-01-01 --seen-until 2017-12-31
    """
    settings = read_settings(preset, config, assignments, {"store": {"url": store}})
    from trader.data.sessions import day_start_ns
    from trader.models.weights import WeightChange
    from trader.registry.weights import EnsembleWeights
    from trader.storage import Store

    with Store.open(settings.store_url, synchronous=settings.store.synchronous) as opened:
        kept = EnsembleWeights(opened)
        if change is not None:
            effective_ns = time.time_ns() if start is None else day_start_ns(start, "UTC")
            seen_ns = None if seen_until is None else day_start_ns(seen_until, "UTC") + 86_400 * 10**9 - 1
            kept.set(ensemble, WeightChange(effective_ns, _parse(change), seen_ns, user(who), why))
        changes = kept.changes(ensemble)
    if as_json:
        print_json(
            [
                {
                    "effective_ns": one.effective_ns,
                    "weights": dict(one.weights),
                    "seen_until_ns": one.seen_until_ns,
                    "who": one.who,
                    "why": one.why,
                }
                for one in changes
            ]
        )
        return
    if not changes:
        err.print(f"ensemble {ensemble!r} has no weights of its own: its members weigh the same", highlight=False)
        return
    table = Table("from (UTC)", "weights", "derived from data until", "by", "why")
    for one in changes:
        shares = ", ".join(f"{name} {weight:g}" for name, weight in one.weights.items())
        table.add_row(
            when(one.effective_ns), shares, when(one.seen_until_ns) if one.seen_until_ns else "-", one.who, one.why
        )
    out.print(table)


def _parse(text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            equals = ""
        if not (equals and name.strip()):
            raise UserError(f"{part!r} is not of the form name=weight")
    return found
