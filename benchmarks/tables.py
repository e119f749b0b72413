"""A result as a table for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["show", "short"]


def short(value: float | None) -> str:
    """Return a number with three digits and a unit prefix; a dash for none.

    >>> short(51_234_567.0), short(0.01234), short(None)
    ('51.2 M', '0.0123', '-')
    """
    if value is None:
        return "-"
    for limit, prefix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{prefix}" if abs(value) < 1e3 * limit else f"{value / limit:.0f}{prefix}"
    return f"{value:.3g}"


def show(content: Mapping[str, Any], console: Console) -> None:
    """Print contenders, figures and targets of a result as `benchmarks.results.to_dict` returns it."""
    if content["contenders"]:
        console.print(_contenders(content))
    for name, value in content["figures"].items():
        if isinstance(value, (int, float)) or value is None:
            console.print(f"  {name}: {short(value)}", highlight=False)
        elif isinstance(value, Mapping) and all(isinstance(row, Mapping) for row in value.values()):
            console.print(_grid(name, value))
    for target in content["targets"]:
        verdict = "[green]met[/]" if target["met"] else "[red]missed[/]"
        console.print(
            f"  {target['name']}: {short(target['value'])} {target['unit']}, "
            f"target {target['op']} {short(target['target'])}: {verdict}",
            highlight=False,
        )
    console.print()


def _grid(title: str, rows: Mapping[str, Mapping[str, float | None]]) -> Table:
    """Return a table with a row for each mapping and a column for each of their keys."""
    table = Table(title=title, title_justify="left")
    headings = list(dict.fromkeys(key for row in rows.values() for key in row))
    for heading in ("", *headings):
        table.add_column(heading, justify="left" if heading == "" else "right")
    for name, row in rows.items():
        table.add_row(name, *(short(row.get(heading)) for heading in headings))
    return table


def _contenders(content: Mapping[str, Any]) -> Table:
    table = Table(title=content["title"], title_justify="left")
    unit = content["contenders"][0]["unit"]
    for heading in ("", f"{unit}/s", f"{unit}/CPU s", "wall s", "CPU s", "warm-up s", "ours is faster by"):
        table.add_column(heading, justify="left" if heading == "" else "right")
    for row in content["contenders"]:
        if row["error"] is not None:
            table.add_row(row["name"], f"[red]{row['error']}[/]")
            continue
        table.add_row(
            f"[bold]{row['name']}[/]" if row["role"] == "ours" else row["name"],
            short(row["rate_per_s"]),
            short(row["rate_per_cpu_s"]),
            short(row["wall_s"]["median"]),
            short(row["cpu_s"]["median"]),
            short(row["warmup"]["wall_s"]),
            "" if row["ours_is_times_faster"] is None else f"{row['ours_is_times_faster']:.3g} x",
        )
    return table
