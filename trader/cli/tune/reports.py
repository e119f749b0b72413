"""`trader tune report` and `trader tune list`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from trader.cli.common import ConfigOption, JsonOption, SetOption, err, out, print_json, read_settings
from trader.cli.run import RunsDirOption

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("report", help=report.__doc__)(report)
    app.command("list", help=list_searches.__doc__)(list_searches)


def report(
    name: Annotated[str, typer.Argument(help="Of the search.")],
    config: ConfigOption = None,
    runs_dir: RunsDirOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Account for a search again, finished or not, and write its report.html.

    Example: trader tune report boosting-20260102-030405-ab12
    """
    settings = read_settings(None, config, assignments, {"run": {"runs_dir": runs_dir}})
    from tune.journal import find_search, read_trials
    from tune.report import write_report
    from tune.results import summarise

    folder = find_search(settings.run.runs_dir, name)
    result = summarise(read_trials(folder))
    page = write_report(folder, result)
    if as_json:
        print_json({"name": name, "report": page} | result.to_dict())
    err.print(f"Report: {page}", markup=False, highlight=False, soft_wrap=True)


def list_searches(
    config: ConfigOption = None,
    runs_dir: RunsDirOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the searches of the runs folder, newest last.

    Example: trader tune list
    """
    settings = read_settings(None, config, assignments, {"run": {"runs_dir": runs_dir}})
    from tune.journal import find_search, read_spec, read_trials
    from tune.journal import list_searches as names_of
    from tune.results import best_trial

    rows = []
    for name in names_of(settings.run.runs_dir):
        folder = find_search(settings.run.runs_dir, name)
        record, trials = read_spec(folder), read_trials(folder)
        best = best_trial(trials)
        rows.append(
            {
                "name": name,
                "kind": record.get("kind"),
                "created": record.get("created"),
                "trials": len(trials),
                "ended": sum(trial.status != "running" for trial in trials),
                "best": None if best is None else best.score,
            }
        )
    rows.sort(key=lambda row: str(row["created"]))
    if as_json:
        print_json(rows)
        return
    table = Table()
    for heading in ("name", "kind", "created", "trials", "ended", "best score"):
        table.add_column(heading)
    for row in rows:
        table.add_row(
            *(
                "–" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
                for value in row.values()
            )
        )
    out.print(table)
