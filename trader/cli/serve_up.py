"""What `trader serve up` does: find the models, deploy them, and stand until asked to end."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from serve.session import SESSION_FILE, StandingSession, process_start, starting
from trader.cli.common import err, print_json, stdout_for_results
from trader.core.errors import ConflictError, OperationError, UserError
from trader.settings import Settings

if TYPE_CHECKING:
    from serve.lifecycle import RunningApp

__all__ = ["Request", "bring_up", "join"]

_PROBE_TIMEOUT_S = 3.0


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for.

    Parameters
    ----------
    settings : Settings
    name : str
    folder : Path
        Of the application.
    models : Path, optional
        Folder of a saved ensemble.
    members : tuple of str
        References of registered versions, where there is no folder.
    port : int, optional
        As given on the command line.
    detach : bool
    """

    settings: Settings
    name: str
    folder: Path
    models: Path | None
    members: tuple[str, ...]
    port: int | None
    detach: bool


@dataclasses.dataclass(frozen=True, slots=True)
class _Models:
    """A verified ensemble folder, its members, and where their scales come from."""

    folder: Path
    members: tuple[str, ...]
    scales_from: str


def bring_up(request: Request, as_json: bool) -> None:
    """Deploy, say where it is, and return when it is left or has ended."""
    stopping = threading.Event()
    cleanup = contextlib.ExitStack()
    try:
        with stdout_for_results():
            models = _find_models(request)
            with starting(request.folder):
                _check_down(request)
                session = _begin(request, models, cleanup)
                for number in (signal.SIGINT, signal.SIGTERM):
                    signal.signal(number, lambda *_: stopping.set())
                session.write(request.folder)
                if not request.detach:
                    cleanup.callback((request.folder / SESSION_FILE).unlink, missing_ok=True)
        if as_json:
            print_json(session.to_dict() | {"scales_from": models.scales_from})
        else:
            _tell(session, models)
        while not (request.detach or stopping.wait(1.0)):  # a wait without an end would keep signals from being seen
            pass
    finally:
        with stdout_for_results():
            cleanup.close()


def join(address: str, auth_mode: str | None = None) -> str:
    """Join a running cluster and return its address; `auth_mode` holds unless the environment says another.

    Raises
    ------
    OperationError
        If nothing answers there.
    """
    if auth_mode is not None:
        # Ray reads it when it is imported, so it is set before.
        os.environ.setdefault("RAY_AUTH_MODE", auth_mode)
    _probe(address)
    from trader.runtime.cluster import connect

    return connect(address).address


def _probe(address: str) -> None:
    """Fail in a moment where nobody listens; Ray itself tries for long."""
    host, _, port = address.rpartition(":")
    if host:
        try:
            socket.create_connection((host.strip("[]"), int(port)), _PROBE_TIMEOUT_S).close()
        except OSError as error:
            raise OperationError(f"no Ray cluster answers at {address!r}: {error.strerror or error}") from error


def _find_models(request: Request) -> _Models:
    from trader.models.artifacts import load_ensemble

    if request.models is not None:
        if not request.models.is_dir():
            raise UserError(f"--models {request.models}: no such folder; one that `trader run` or `up` saved is needed")
        folder = request.models.resolve()
        return _Models(folder, tuple(load_ensemble(folder).members), "as saved with the ensemble")
    from serve.assembling import assemble
    from trader.registry import Registry
    from trader.storage import Store

    settings = request.settings
    with Store.open(settings.store_url, synchronous=settings.store.synchronous) as store:
        made = assemble(Registry.of(store, settings.registry), request.members, request.folder.resolve() / "models")
    return _Models(made.folder, made.members, made.scales_from)


def _check_down(request: Request) -> None:
    """Refuse to replace what is up: Serve would stop the old replicas first, and requests would fail meanwhile."""
    session = StandingSession.read(request.folder)
    if session is not None and (session.held or session.detached):
        holder = f"left on the cluster at {session.address}" if session.detached else f"held by process {session.pid}"
        raise ConflictError(
            f"--name {request.name!r} is up at {session.http_url}, {holder}, and serves {', '.join(session.members)}; "
            "`trader serve down` first, or give another --name"
        )


def _begin(request: Request, models: _Models, cleanup: contextlib.ExitStack) -> StandingSession:
    """Start or join the cluster and deploy; `cleanup` undoes what is not to be left."""
    settings = request.settings
    local = settings.ray.address == "local"
    if local:
        from serve.lifecycle import claim_port

        port = claim_port(settings.serve.host, settings.serve.port)
        settings = settings.model_copy(update={"serve": settings.serve.model_copy(update={"port": port})})
    else:
        _probe(settings.ray.address)
    from serve.standing import check_free, serve_runs, take_away
    from trader.runtime.cluster import leave_cluster, start_cluster

    # As Ctrl-C does, it takes back what has been started; the default would leave that standing.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    info = start_cluster(settings.ray)
    cleanup.callback(leave_cluster)
    check_free(request.name, request.port)
    started_serve = not serve_runs()
    undo = cleanup.enter_context(contextlib.ExitStack())
    undo.callback(take_away, request.name, end_serve=started_serve and not local)
    app = _deploy(request, settings, models.folder)
    if request.detach:
        undo.pop_all()
    pid = os.getpid()
    return StandingSession(
        name=request.name,
        pid=pid,
        pid_started=process_start(pid) or 0.0,
        address=info.address,
        auth_mode=info.auth_mode,
        detached=request.detach,
        started_serve=started_serve,
        http_url=app.url,
        dashboard_url=info.dashboard_url,
        model_dir=str(models.folder),
        config=str(_config_file(request)),
        members=models.members,
    )


def _deploy(request: Request, settings: Settings, model_dir: Path) -> RunningApp:
    from serve.config_file import deploy_config, write_config
    from serve.lifecycle import start_app

    app = start_app(
        settings.serve, model_dir, store_url=settings.store_url, registry=settings.registry, name=request.name
    )
    url = urlsplit(app.url)
    listening = settings.serve.model_copy(update={"host": url.hostname, "port": url.port})
    config = deploy_config(
        settings.model_copy(update={"serve": listening}), model_dir, name=request.name, port=url.port or 0
    )
    write_config(config, _config_file(request))
    return app


def _config_file(request: Request) -> Path:
    return request.folder.resolve() / "config.yaml"


def _tell(session: StandingSession, models: _Models) -> None:
    lines = [
        f"{session.name} serves {', '.join(session.members)}",
        f"Scales: {models.scales_from}",
        f"HTTP: {session.http_url}, docs at {session.http_url}/docs",
        f"Ray dashboard: {session.dashboard_url or 'off'}",
        f"Serve config: {session.config}",
    ]
    if session.detached:
        lines.append(f"It stays on the cluster at {session.address} until `trader serve down`")
    else:
        lines.append("Ctrl-C or `trader serve down` ends it")
    for line in lines:
        err.print(line, markup=False, highlight=False, soft_wrap=True)
