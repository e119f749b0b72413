"""Starting and stopping the application on the Ray cluster that this process is connected to."""

from __future__ import annotations

import dataclasses
import errno
import logging
import socket
import time
from pathlib import Path
from typing import Any

from ray import serve as ray_serve
from ray.exceptions import RayTaskError
from ray.serve import Application
from ray.serve.config import HTTPOptions, ProxyLocation
from ray.serve.context import _get_global_client
from ray.serve.exceptions import RayServeException
from ray.serve.schema import LoggingConfig

from serve.app import AppArgs, application
from serve.auth import Credential, credentials_from_environment
from serve.names import APP
from serve.plan import Serving, deployment_of
from serve.predictor import ServePredictor
from serve.readiness import ask_ready, reachable
from trader.core.errors import OperationError
from trader.models.artifacts import load_ensemble
from trader.settings.sections import RegistrySettings, ServeSettings

__all__ = ["RunningApp", "claim_port", "deploy", "predictors", "start_app"]

_READY_TIMEOUT_S = 60.0
_POLL_S = 0.05


@dataclasses.dataclass(frozen=True, slots=True)
class RunningApp:
    """An application that answers.

    Parameters
    ----------
    name : str
        Of the Serve application.
    url : str
        Where its HTTP is, e.g. `http://127.0.0.1:8000`.
    predictor : ServePredictor
        Scores features by handle; may be sent to actors.
    args : AppArgs
    credentials : tuple of Credential
        What it was built from.
    challenger : ServePredictor, optional
        The same of an experiment's challenger.
    """

    name: str
    url: str
    predictor: ServePredictor
    args: AppArgs
    credentials: tuple[Credential, ...]
    challenger: ServePredictor | None = None

    def stop(self) -> None:
        """Delete the application once the requests it works on are answered; twice does nothing.

        Serve itself stays, for other applications of the cluster, and ends with it.
        """
        if _get_global_client(raise_if_no_controller_running=False) is not None:
            ray_serve.delete(self.name)


def start_app(
    settings: ServeSettings,
    serving: Serving,
    *,
    store_url: str | None = None,
    registry: RegistrySettings | None = None,
    name: str = APP,
    may_change: bool = False,
    run_id: str | None = None,
) -> RunningApp:
    """Deploy ensembles and their HTTP ingress, and wait until it answers.

    Serve is started if the cluster has none. If it has one, its HTTP address stays as it is and
    `settings.host` and `settings.port` are not used: Serve has one address for all applications.

    Parameters
    ----------
    settings : ServeSettings
    serving : Serving
        What to serve; on a cluster every node must see its folders under these paths.
    store_url : str, optional
        Store whose experiments are shown and changed over HTTP.
    registry : RegistrySettings, optional
        Of that store.
    name : str
        Name of the application; one of that name is replaced.
    may_change : bool
        Whether a `Conductor` will follow what is wanted of it, which may then be said over HTTP.
    run_id : str, optional
        The run of that store whose risk is shown; the youngest by default.

    Raises
    ------
    ModelError
        If a folder holds no ensemble; nothing is started then.
    OperationError
        If the port is taken, or the application does not become ready.
    """
    champion, challenger = predictors(serving, name)
    # Serve tells its progress on stderr, where the caller's own display is.
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    if _get_global_client(raise_if_no_controller_running=False) is None:
        _start_serve(settings)
    args = AppArgs.of(
        settings,
        serving,
        app=name if may_change else None,
        store_url=store_url,
        run_id=run_id,
        registry=registry or RegistrySettings(),
    )
    credentials = credentials_from_environment(args.users)
    options = _get_global_client().http_config
    host = reachable(options.host)
    app = RunningApp(name, f"http://{host}:{options.port}", champion, args, credentials, challenger)
    try:
        deploy(application(args, credentials), name)
        _wait_until_ready(host, options.port)
    except BaseException:
        app.stop()
        raise
    return app


def predictors(serving: Serving, name: str = APP) -> tuple[ServePredictor, ServePredictor | None]:
    """Return what scores by the handles of an application, champion and challenger; it may start later.

    Raises
    ------
    ModelError
        If a folder holds no ensemble.
    """
    champion = _predictor(name, serving.model_dir)
    if serving.challenger_dir is None:
        return champion, None
    return champion, _predictor(name, serving.challenger_dir, timeout_s=serving.challenger_timeout_s, retries=1)


def deploy(app: Application, name: str) -> None:
    """Deploy an application, in place where one of that name runs, and wait until all replicas are well.

    Replicas that stay are not restarted, and no request fails meanwhile.

    Raises
    ------
    OperationError
        If they do not become well.
    """
    try:
        ray_serve.run(app, name=name, route_prefix="/")
    except (RuntimeError, RayServeException) as error:
        cause = error.cause if isinstance(error, RayTaskError) else error
        raise OperationError(f"the Serve application {name!r} did not start: {str(cause).strip()}") from error


def _predictor(name: str, folder: Path, **limits: Any) -> ServePredictor:
    context = load_ensemble(folder).context
    return ServePredictor(name, context=context, deployment=deployment_of(folder), **limits)


def _start_serve(settings: ServeSettings) -> None:
    port = claim_port(settings.host, settings.port)
    ray_serve.start(
        # One HTTP proxy, on the head node: the address is the same however many nodes there are.
        proxy_location=ProxyLocation.HeadOnly,
        http_options=HTTPOptions(host=settings.host, port=port),
        logging_config=LoggingConfig(log_level="WARNING", enable_access_log=False),
    )


def claim_port(host: str, port: int) -> int:
    """Return a port that can be bound: the one asked for, or a free one for 0."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = "is taken by another process" if error.errno == errno.EADDRINUSE else f"failed: {error.strerror}"
            raise OperationError(
                f"serve.host={host!r}, serve.port={port} {reason}; choose another port, or 0 for a free one"
            ) from error
        free: int = probe.getsockname()[1]
        return free


def _wait_until_ready(host: str, port: int) -> None:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    while (problem := ask_ready(host, port)) is not None:
        if time.monotonic() > deadline:
            raise OperationError(
                f"/readyz did not answer 200 within {_READY_TIMEOUT_S:g} s; the last answer: {problem}"
            )
        time.sleep(_POLL_S)
