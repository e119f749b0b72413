"""`trader serve up`, `status`, `down`: the HTTP interface without a run."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trader.cli.common import (
    ConfigOption,
    JsonOption,
    PresetOption,
    SetOption,
    err,
    out,
    print_json,
    read_settings,
    stdout_for_results,
)
from trader.cli.run import RunsDirOption
from trader.cli.serve_apply import (
    ExperimentOption,
    MembersOption,
    ModelsOption,
    NameOption,
    ShareOption,
    WeightsOption,
    apply,
    wanted_of,
)
from trader.core.errors import ConflictError, OperationError, UserError

if TYPE_CHECKING:
    from serve.session import StandingSession

__all__ = ["app"]

_END_TIMEOUT_S = 120.0
_POLL_S = 0.1

app = typer.Typer(help="Serve models over HTTP, on a cluster, until they are taken down.", no_args_is_help=True)

app.command()(apply)

JoinOption = Annotated[
    str | None,
    typer.Option("--address", metavar="auto|HOST:PORT", help="Of the cluster; as `up` left it in the runs folder."),
]


@app.command()
def up(
    models: ModelsOption = None,
    members: MembersOption = None,
    weights: WeightsOption = None,
    experiment: ExperimentOption = None,
    share: ShareOption = None,
    port: Annotated[int | None, typer.Option("--port", help="HTTP port; 0 takes a free one.")] = None,
    replicas: Annotated[int | None, typer.Option("--replicas", help="Of the ensemble.")] = None,
    address: Annotated[
        str | None,
        typer.Option("--address", metavar="local|auto|HOST:PORT", help="local starts a cluster; others are joined."),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Leave it on the cluster that was joined.")] = False,
    name: NameOption = "standing",
    runs_dir: RunsDirOption = None,
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Serve an ensemble over HTTP until Ctrl-C or `trader serve down`; by default what was served last.

    It follows what is wanted of it: `trader serve apply`, `PUT /v1/serving`, champions that change.

    Example: trader serve up --members linear@1.2.0,momentum@champion --port 8000
    """
    overrides = {"port": port, "replicas": replicas}
    settings = read_settings(
        preset,
        config,
        assignments,
        {"serve": overrides, "ray": {"address": address}, "run": {"runs_dir": runs_dir}},
    )
    _check_address(settings.ray.address, ("local", "auto"))
    if detach and settings.ray.address == "local":
        raise UserError(
            "--detach needs a cluster to be left on: --address auto or HOST:PORT; one that is started here ends with "
            "this process"
        )
    from serve.session import session_folder
    from trader.cli.serve_up import Request, bring_up

    folder = session_folder(settings.run.runs_dir, name)
    wanted = wanted_of(models, members, weights, experiment, share)
    request = Request(settings, name, folder, wanted, port, detach)
    bring_up(request, as_json)


@app.command()
def status(
    address: JoinOption = None,
    name: NameOption = "standing",
    runs_dir: RunsDirOption = None,
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show applications, deployments, replicas and the versions served; exit 1 where /readyz does not answer 200.

    Example: trader serve status --json
    """
    _, session = _find(name, address, runs_dir, preset, config, assignments)
    with stdout_for_results():
        where = _join(session, address)
        from serve.standing import state_of
        from trader.runtime.cluster import leave_cluster

        try:
            state = state_of(name)
        finally:
            leave_cluster()
    held = {"pid": session.pid if session and session.held else None, "detached": session.detached if session else None}
    found = {"name": name, "address": where} | held | state
    if as_json:
        print_json(found)
    else:
        _show(found)
    if not state["ready"]:
        raise OperationError(f"{name!r} is not ready: {state['problem']}")


@app.command()
def down(
    address: JoinOption = None,
    name: NameOption = "standing",
    runs_dir: RunsDirOption = None,
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take the application away, once the requests it works on are answered.

    Example: trader serve down
    """
    folder, session = _find(name, address, runs_dir, preset, config, assignments)
    with stdout_for_results():
        if session is not None and session.held and not session.detached:
            _end_process(session)
            what = f"process {session.pid} ended"
        else:
            what = _delete(folder, name, session, address)
    if as_json:
        print_json({"name": name, "done": what})
    else:
        err.print(f"{name}: {what}", markup=False, highlight=False)


def _find(
    name: str,
    address: str | None,
    runs_dir: Path | None,
    preset: str | None,
    config: Path | None,
    assignments: list[str] | None,
) -> tuple[Path, StandingSession | None]:
    """Return the folder of an application, and its session unless `address` names another cluster."""
    settings = read_settings(preset, config, assignments, {"run": {"runs_dir": runs_dir}})
    from serve.session import StandingSession, session_folder

    folder = session_folder(settings.run.runs_dir, name)
    session = StandingSession.read(folder)
    if address is not None:
        _check_address(address, ("auto",))
        return folder, session if session is not None and address == session.address else None
    if session is None:
        raise ConflictError(f"{name!r} is not up: {folder} has no session; for one elsewhere, give --address HOST:PORT")
    return folder, session


def _check_address(address: str, words: tuple[str, ...]) -> None:
    host, _, port = address.rpartition(":")
    if address not in words and not (host and "/" not in host and port.isdecimal() and int(port) < 2**16):
        raise UserError(f"--address {address!r} is not allowed; {', '.join(words)} or HOST:PORT is")


def _join(session: StandingSession | None, address: str | None) -> str:
    """Join the cluster of a session, or else of `address`; return where it is."""
    from trader.cli.serve_up import join

    if session is not None:
        return join(session.address, session.auth_mode)
    assert address is not None  # noqa: S101 - `_find` gives one of them
    return join(address)


def _end_process(session: StandingSession) -> None:
    try:
        os.kill(session.pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError:
        raise OperationError(f"process {session.pid} holds {session.name!r} and is another user's") from None
    deadline = time.monotonic() + _END_TIMEOUT_S
    while session.held:
        if time.monotonic() > deadline:
            raise OperationError(f"process {session.pid} did not end within {_END_TIMEOUT_S:g} s of SIGTERM")
        time.sleep(_POLL_S)


def _delete(folder: Path, name: str, session: StandingSession | None, address: str | None) -> str:
    """Delete the application that no process holds, and forget its session."""
    from serve.session import SESSION_FILE

    file = folder / SESSION_FILE
    try:
        where = _join(session, address)
    except OperationError:
        if session is None:
            raise
        file.unlink(missing_ok=True)
        return f"it is gone already, with its cluster at {session.address}"
    from serve.conducting import dismiss
    from serve.standing import take_away
    from trader.runtime.cluster import leave_cluster

    try:
        dismiss(name)
        there = take_away(name, end_serve=session is not None and session.started_serve)
    finally:
        leave_cluster()
    if session is not None:
        file.unlink(missing_ok=True)
    elif not there:
        raise ConflictError(f"--name {name!r}: no application of that name runs on the cluster at {where}")
    return f"deleted from the cluster at {where}" if there else f"it was gone already from the cluster at {where}"


def _show(found: dict[str, Any]) -> None:
    from rich.table import Table

    ready = f"{found['name']}: {'ready' if found['ready'] else 'not ready'}"
    out.print(f"{ready}, HTTP {found['http_url'] or 'off'}, cluster {found['address']}", highlight=False)
    table = Table("application", "deployment", "status", "replicas")
    for application in found["applications"]:
        for deployment in application["deployments"]:
            replicas = ", ".join(f"{replica['state']} (pid {replica['pid']})" for replica in deployment["replicas"])
            table.add_row(application["name"], deployment["name"], deployment["status"], replicas)
    out.print(table)
    if found["standing"] is not None:
        _show_variants(**found["standing"])
    table = Table("member", "weight", "SHA-256")
    for member in found["members"]:
        table.add_row(member["key"], f"{member['weight']:.3f}", member["sha256"][:16])
    out.print(table)


def _show_variants(plan: dict[str, Any], variants: dict[str, Any], breaches: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table("variant", "deployment", "requests in 1 min", "failed", "slow", "guardrail")
    for variant in ("champion", "challenger", "fallback"):
        if plan[variant] is None:
            continue
        counts = variants.get(variant, {})
        broken = breaches.get(variant)
        share = f" ({plan['experiment']}, {plan['share']:.0%} of the symbols)" if variant == "challenger" else ""
        numbers = [str(counts.get(name, "-")) for name in ("requests", "failed", "slow")]
        table.add_row(variant + share, plan[variant], *numbers, f"{broken['limit']} broken" if broken else "holds")
    out.print(table)
