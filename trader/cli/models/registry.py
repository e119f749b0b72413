"""`trader models list | show | compare | verify`: what is registered, and whether it is whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from trader.cli.common import ConfigOption, JsonOption, PresetOption, SetOption, err, out, print_json
from trader.cli.models.common import RefArgument, StoreOption, describe, metric_text, open_registry, when
from trader.core.errors import ModelError

if TYPE_CHECKING:
    from trader.registry import ModelVersion, Registry

__all__ = ["register"]

_LONGEST_LIST = 8


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("list", help=list_versions.__doc__)(list_versions)
    app.command("show", help=show.__doc__)(show)
    app.command("compare", help=compare.__doc__)(compare)
    app.command("verify", help=verify.__doc__)(verify)


def list_versions(
    name: Annotated[str | None, typer.Argument(help="Only versions of this model.")] = None,
    state: Annotated[str | None, typer.Option("--state", help="Only versions in this state.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, newest first.")] = 50,
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List registered versions, newest first.

    Example: trader models list transformer --state staging
    """
    with open_registry(preset, config, assignments, store) as (registry, _):
        found = registry.versions(name, state, limit=limit)
    if as_json:
        print_json([version.to_dict() for version in found])
        return
    table = Table("version", "state", "begun", "by", "metrics", "MB")
    for version in found:
        size = f"{version.n_bytes / 1e6:.1f}" if version.n_bytes else "-"
        table.add_row(
            version.ref, describe(version), when(version.created_ns), version.who, _first_metrics(version), size
        )
    out.print(table)


def show(
    ref: RefArgument,
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a version: its report, where it comes from, and what happened to it.

    Example: trader models show transformer@champion
    """
    with open_registry(preset, config, assignments, store) as (registry, _):
        version = registry.resolve(ref)
        lineage, report, history = registry.lineage(version), registry.report(version), registry.history(version)
        used = registry.in_use(version.name).get(version.ref, ())
    origin = lineage.to_dict()
    if as_json:
        happened = [dataclasses.asdict(entry) for entry in history]
        environment = dict(lineage.environment.distributions)
        details = {"report": report, "lineage": origin, "environment": environment, "history": happened}
        print_json(version.to_dict() | {"in_use": used} | details)
        return
    out.print(f"[bold]{version.ref}[/] ({version.kind}): {describe(version)}", highlight=False)
    out.print(f"in use: {'; '.join(used) or 'no'}\ncontent {version.content_hash or '-'}", highlight=False)
    for title, facts in (("metrics", version.metrics), ("report", report), ("lineage", origin)):
        if facts:
            out.print(_facts(title, facts))
    table = Table("when", "what", "by", "why", title="history", title_justify="left")
    for entry in history:
        change = f"{entry.before or '-'} → {entry.after or '-'}" if entry.before or entry.after else ""
        table.add_row(when(entry.ts_ns), f"{entry.what} {change}".strip(), entry.who, entry.why)
    out.print(table)


def compare(
    a: RefArgument,
    b: RefArgument,
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two versions: metrics with intervals, and what differs in lineage, settings and environment.

    Example: trader models compare transformer@champion transformer@1.3.0
    """
    with open_registry(preset, config, assignments, store) as (registry, _):
        found = registry.compare(a, b)
    if as_json:
        print_json(found.to_dict())
        return
    table = Table("metric", found.a.ref, found.b.ref, "")
    for metric in found.metrics:
        verdict = {None: "", True: "intervals apart", False: "intervals touch"}[metric.apart]
        cells = metric_text(metric.a, metric.a_interval), metric_text(metric.b, metric.b_interval)
        table.add_row(metric.name, *cells, verdict)
    out.print(table)
    for title in ("lineage", "settings", "environment"):
        differing: Mapping[str, tuple[Any, Any]] = getattr(found, title)
        table = Table(title, found.a.ref, found.b.ref)
        for key, pair in differing.items():
            table.add_row(key, *(_cell(value) for value in pair))
        if differing:
            out.print(table)
        else:
            out.print(f"{title}: no difference")


def verify(
    refs: Annotated[list[str] | None, typer.Argument(metavar="[REF]...", help="All with artefacts, if none.")] = None,
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check every file of versions against its SHA-256, where it lies; exit 1 if one is missing or changed.

    Example: trader models verify transformer@champion
    """
    with open_registry(preset, config, assignments, store) as (registry, _):
        wanted = [registry.resolve(ref) for ref in refs or ()] or [v for v in registry.versions() if v.location]
        results = {}
        with err.status("checking") as status:
            for version in wanted:
                status.update(f"checking {version.ref}, {version.n_bytes / 1e6:.0f} MB")
                results[version.ref] = _damage(registry, version)
    if as_json:
        print_json([{"ref": ref, "whole": not damage, "damage": damage} for ref, damage in results.items()])
    for ref, damage in results.items():
        if damage:
            err.print(f"error: {ref}: {damage}", markup=False, highlight=False, soft_wrap=True)
        elif not as_json:
            out.print(f"{ref}: whole", highlight=False)
    if any(results.values()):
        raise typer.Exit(1)


def _damage(registry: Registry, version: ModelVersion) -> str:
    try:
        registry.verify(version)
    except ModelError as error:
        return str(error)
    return ""


def _first_metrics(version: ModelVersion) -> str:
    names = [name for name in version.metrics if not name.endswith(("_low", "_high"))]
    return ", ".join(f"{name} {metric_text(version.metrics[name])}" for name in names[:3])


def _facts(title: str, facts: Mapping[str, Any]) -> Table:
    table = Table(title=title, title_justify="left", show_header=False)
    for key, value in _lines(facts):
        table.add_row(key, _cell(value))
    return table


def _lines(facts: Mapping[str, Any], path: str = "") -> list[tuple[str, Any]]:
    lines = []
    for key, value in facts.items():
        if isinstance(value, Mapping) and value:
            lines += _lines(value, f"{path}{key}.")
        else:
            lines.append((f"{path}{key}", value))
    return lines


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple) and len(value) > _LONGEST_LIST:
        return f"{', '.join(_cell(item) for item in value[:_LONGEST_LIST])}, … ({len(value)})"
    if isinstance(value, list | tuple):
        return ", ".join(_cell(item) for item in value)
    return "-" if value is None else str(value)
