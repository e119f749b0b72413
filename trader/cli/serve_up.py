"""What `trader serve up` does: find the models, deploy them, and stand until asked to end."""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import os
import signal
import socket
import sys
import threading
from concurrent.futures import wait
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from serve.session import SESSION_FILE, StandingSession, process_start, starting
from trader.cli.common import err, print_json, stdout_for_results
from trader.cli.models.common import user
from trader.core.errors import ConflictError, OperationError, UserError
from trader.settings import Settings

if TYPE_CHECKING:
    from serve.conductor import Applied, Conductor
    from serve.lifecycle import RunningApp
    from serve.wanted import Wanted

__all__ = ["Request", "bring_up", "join"]

_PROBE_TIMEOUT_S = 3.0
_WATCH_S = 1.0


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for.

    Parameters
    ----------
    settings : Settings
    name : str
    folder : Path
        Of the application.
    wanted : Wanted, optional
        What to serve; what was wanted last where it is not said.
    port : int, optional
        As given on the command line.
    detach : bool
    """

    settings: Settings
    name: str
    folder: Path
    wanted: Wanted | None
    port: int | None
    detach: bool


@dataclasses.dataclass(frozen=True, slots=True)
class _Found:
    """What is wanted, found and verified, and where the scales come from."""

    revision: int
    applied: Applied
    members: tuple[str, ...]
    scales_from: str


def bring_up(request: Request, as_json: bool) -> None:
    """Deploy, say where it is, and return when it is left or has ended."""
    stopping = threading.Event()
    cleanup = contextlib.ExitStack()
    try:
        with stdout_for_results(), starting(request.folder):
            _check_down(request)
            found = _find(request)
            session, conductor = _begin(request, found, cleanup)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: stopping.set())
            session.write(request.folder)
            if not request.detach:
                cleanup.callback((request.folder / SESSION_FILE).unlink, missing_ok=True)
        if as_json:
            print_json(session.to_dict() | {"scales_from": found.scales_from})
        else:
            _tell(session, found)
        if conductor is not None:
            with stdout_for_results():
                _stand(request, conductor, stopping, cleanup)
    finally:
        with stdout_for_results():
            cleanup.close()


def _stand(request: Request, conductor: Conductor, stopping: threading.Event, cleanup: contextlib.ExitStack) -> None:
    """Return when asked to end; raise OperationError when the cluster has ended."""
    from serve.conducting import conduct
    from trader.runtime.watch import watch_cluster

    watch = watch_cluster()
    done = conduct(conductor, stopping)
    while not wait([done], _WATCH_S).done:
        if (problem := watch.problem()) is not None:
            cleanup.pop_all()  # nobody is left who could be asked to end what was there
            (request.folder / SESSION_FILE).unlink(missing_ok=True)
            atexit.register(_end_at_once)
            raise OperationError(
                f"the cluster of {request.name!r} is gone: {problem}; "
                "`trader serve up` on another one begins with what was wanted last"
            )
    done.result()


def _end_at_once() -> None:
    """End with exit code 1 before Ray takes its leave, in which it waits for the cluster that is gone."""
    sys.stdout.flush()
    os._exit(OperationError.exit_code)


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


def _find(request: Request) -> _Found:
    """Write down what is wanted, unless it was wanted already, and make what it means now."""
    from serve.conductor import Applied
    from serve.wanted import Wanted, intent_of, members_of, realised
    from trader.registry import Registry
    from trader.storage import Store
    from trader.storage.serving import ServingLog

    settings = request.settings
    with Store.open(settings.store_url, synchronous=settings.store.synchronous) as store:
        log = ServingLog(store, request.name)
        last = log.latest("wanted")
        before = None if last is None else Wanted.of(**last.payload)
        wanted = request.wanted or before
        if wanted is None:
            raise UserError(f"--members A,B or --models DIR is needed: nothing was wanted of {request.name!r} before")
        intent = intent_of(wanted, store, settings.registry)
        registry = Registry.of(store, settings.registry)
        serving, scales_from = realised(intent, registry, _models_folder(request), settings.experiment.timeout_s)
        if last is None or wanted != before:
            revision = log.add("wanted", wanted.model_dump(mode="json"), who=user(None), why="trader serve up")
        else:
            revision = last.number
    return _Found(revision, Applied(serving, intent), members_of(intent), scales_from)


def _models_folder(request: Request) -> Path:
    return request.folder.resolve() / "models"


def _check_down(request: Request) -> None:
    """Refuse to start what is up."""
    session = StandingSession.read(request.folder)
    if session is not None and (session.held or session.detached):
        holder = f"left on the cluster at {session.address}" if session.detached else f"held by process {session.pid}"
        raise ConflictError(
            f"--name {request.name!r} is up at {session.http_url}, {holder}, and serves {', '.join(session.members)}; "
            "`trader serve apply` changes that in place; or give another --name"
        )


def _begin(request: Request, found: _Found, cleanup: contextlib.ExitStack) -> tuple[StandingSession, Conductor | None]:
    """Start or join the cluster and deploy; `cleanup` undoes what is not to be left.

    The conductor is for this process to step, and None where it is left on the cluster.
    """
    settings = request.settings
    local = settings.ray.address == "local"
    if local:
        from serve.lifecycle import claim_port

        port = claim_port(settings.serve.host, settings.serve.port)
        settings = settings.model_copy(update={"serve": settings.serve.model_copy(update={"port": port})})
    else:
        _probe(settings.ray.address)
    from serve.config_file import deploy_config, write_config
    from serve.lifecycle import start_app
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
    app = start_app(
        settings.serve,
        found.applied.serving,
        store_url=settings.store_url,
        registry=settings.registry,
        name=request.name,
        may_change=True,
    )
    pid = os.getpid()
    session = StandingSession(
        name=request.name,
        pid=pid,
        pid_started=process_start(pid) or 0.0,
        address=info.address,
        auth_mode=info.auth_mode,
        detached=request.detach,
        started_serve=started_serve,
        http_url=app.url,
        dashboard_url=info.dashboard_url,
        model_dir=str(found.applied.serving.model_dir),
        config=str(request.folder.resolve() / "config.yaml"),
        members=found.members,
    )
    conductor = _conduct(request, settings, app, found)
    if request.detach:
        undo.pop_all()
    url = urlsplit(app.url)
    config = deploy_config(app.args, name=request.name, host=url.hostname or "", port=url.port or 0)
    write_config(config, Path(session.config))
    return session, conductor


def _conduct(request: Request, settings: Settings, app: RunningApp, found: _Found) -> Conductor | None:
    """Write down what is served, and have it follow what is wanted."""
    from serve.conducting import conductor_of, leave_conductor
    from serve.conductor import Terms
    from trader.storage import Store
    from trader.storage.serving import ServingLog

    with Store.open(settings.store_url, synchronous=settings.store.synchronous) as store:
        more = {"revision": found.revision, "scales_from": found.scales_from}
        said = {"who": user(None), "why": "trader serve up"}
        ServingLog(store, request.name).add("applied", found.applied.to_dict() | more, **said)
    terms = Terms(
        app=request.name,
        store_url=settings.store_url,
        registry=settings.registry,
        folder=_models_folder(request),
        rollback_window_s=settings.serve.rollback_window_s,
        challenger_timeout_s=settings.experiment.timeout_s,
    )
    if request.detach:
        leave_conductor(terms, app.args, app.credentials, request.folder.resolve())
        return None
    return conductor_of(terms, app.args, app.credentials, request.folder.resolve())


def _tell(session: StandingSession, found: _Found) -> None:
    lines = [
        f"{session.name} serves {', '.join(session.members)}",
        f"Scales: {found.scales_from}",
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
