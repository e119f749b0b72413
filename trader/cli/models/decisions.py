"""`trader models promote | rollback | archive | acknowledge | alias | cleanup`: decisions, with who and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from trader.cli.common import ConfigOption, JsonOption, PresetOption, SetOption, err, out, print_json
from trader.cli.models.common import RefArgument, StoreOption, WhoOption, WhyOption, describe, open_registry, user

if TYPE_CHECKING:
    from trader.registry import AliasMove

__all__ = ["register"]

NameArgument = Annotated[str, typer.Argument(help="Name of a model.")]
ExpectedOption = Annotated[
    str | None,
    typer.Option("--expected", metavar="VERSION", help="Refuse unless this version has it now; none: nobody has."),
]
_NOBODY = "none"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (promote, rollback, archive, acknowledge, alias, cleanup):
        app.command(command.__name__, help=command.__doc__)(command)


def promote(
    ref: RefArgument,
    why: WhyOption,
    expected: ExpectedOption = None,
    who: WhoOption = None,
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a version the champion; the one before stays in production for a rollback.

    Example: trader models promote transformer@1.2.0 --why "better on 2022, half the turnover"
    """
    with open_registry(preset, config, assignments, store) as (registry, _):
        guard = {} if expected is None else {"expected": None if expected == _NOBODY else expected}
        _print_move(registry.promote(ref, user(who), why, **guard), as_json)


def rollback(
    name: NameArgument,
    why: WhyOption,
    who: WhoOption = None,
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the champion before the present one champion again.

    Example: trader models rollback transformer --why "drawdown since the promotion"
    """
    with open_registry(preset, config, assignments, store) as (registry, _):
        _print_move(registry.rollback(name, user(who), why), as_json)


def archive(
    ref: RefArgument,
    why: WhyOption,
    who: WhoOption = None,
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Retire a version; its artefact stays until a clean-up.

    Example: trader models archive transformer@1.0.0 --why "trained on wrong splits"
    """
    with open_registry(preset, config, assignments, store) as (registry, _):
        before = registry.resolve(ref)
        after = registry.transition(before, "RETIRED", user(who), why)
    if as_json:
        print_json(after.to_dict() | {"before": before.state})
    else:
        err.print(f"{after.ref}: {before.state} → {after.state}", highlight=False)


def acknowledge(
    ref: RefArgument,
    why: WhyOption,
    who: WhoOption = None,
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say why a SUSPECT report is right after all; only then can the version be promoted.

    Example: trader models acknowledge linear@1.1.0 --why "simulated market, the signal is planted"
    """
    with open_registry(preset, config, assignments, store) as (registry, _):
        version = registry.acknowledge(ref, user(who), why)
    if as_json:
        print_json(version.to_dict())
    else:
        err.print(f"{version.ref}: {describe(version)}", highlight=False)


def alias(
    name: NameArgument,
    alias: Annotated[str, typer.Argument(help="challenger, shadow or champion.")],
    version: Annotated[str, typer.Argument(help="1.2.0; none takes the alias off.")],
    why: WhyOption,
    expected: ExpectedOption = None,
    who: WhoOption = None,
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give an alias to a version, if nobody else has changed it meanwhile.

    Example: trader models alias transformer challenger 1.3.0 --why "A/B from Monday"
    """
    with open_registry(preset, config, assignments, store) as (registry, _):
        now = [v.version for v in registry.versions(name) if alias in v.aliases] if expected is None else [expected]
        had = None if not now or now[0] == _NOBODY else now[0]
        chosen = None if version == _NOBODY else version
        _print_move(registry.set_alias(name, alias, chosen, expected=had, who=user(who), why=why), as_json)


def cleanup(
    name: Annotated[str | None, typer.Argument(help="Only this model.")] = None,
    keep: Annotated[int | None, typer.Option("--keep", min=0, help="Newest to keep; registry.keep_versions.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")] = False,
    why: WhyOption = "retention",
    who: WhoOption = None,
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete artefacts that are neither in use nor among the newest; all records stay.

    Example: trader models cleanup --keep 5 --dry-run
    """
    with open_registry(preset, config, assignments, store) as (registry, settings):
        keep = settings.registry.keep_versions if keep is None else keep
        done = registry.clean_up(keep=keep, who=user(who), why=why, name=name, dry_run=dry_run)
    if as_json:
        kept = {ref: list(reasons) for ref, reasons in done.kept.items()}
        print_json({"removed": done.removed, "n_bytes": done.n_bytes, "leftovers": done.leftovers, "kept": kept})
        return
    table = Table("version", "would be" if dry_run else "was", "because")
    for ref in done.removed:
        table.add_row(ref, "removed", f"not in use, not one of the newest {keep}")
    for ref, reasons in done.kept.items():
        table.add_row(ref, "kept", "; ".join(reasons))
    out.print(table)
    out.print(f"{done.n_bytes / 1e6:.1f} MB, and {done.leftovers} folders left over from uploads", highlight=False)


def _print_move(moved: AliasMove, as_json: bool) -> None:
    if as_json:
        states = {version: str(state) for version, state in moved.states.items()}
        names = {"name": moved.name, "alias": str(moved.alias)}
        print_json({**names, "before": moved.before, "after": moved.after, "states": states})
        return
    err.print(f"{moved.name} {moved.alias}: {moved.before or '-'} → {moved.after or '-'}", highlight=False)
    for version, state in moved.states.items():
        err.print(f"{moved.name}@{version} is now {state}", highlight=False)
