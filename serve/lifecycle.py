"""Starting and stopping the application on the Ray cluster that this process is connected to."""

from __future__ import annotations

import dataclasses
import errno
import logging
import socket
import time
from pathlib import Path

from ray import serve as ray_serve
from ray.exceptions import RayTaskError
from ray.serve.config import HTTPOptions, ProxyLocation
from ray.serve.context import _get_global_client
from ray.serve.exceptions import RayServeException
from ray.serve.schema import LoggingConfig

from serve.app import AppArgs, build_app
from serve.names import APP
from serve.plan import deployment_of
from serve.predictor import ServePredictor
from serve.readiness import ask_ready, reachable
from trader.core.errors import OperationError
from trader.experiments.assignment import Split
from trader.models.artifacts import load_ensemble
from trader.settings.sections import RegistrySettings, ServeSettings

__all__ = ["RunningApp", "claim_port", "start_app"]

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
    challenger : ServePredictor, optional
        The same of an experiment's challenger.
    """

    name: str
    url: str
    predictor: ServePredictor
    challenger: ServePredictor | None = None

    def stop(self) -> None:
        """Delete the application once the requests it works on are answered; twice does nothing.

        Serve itself stays, for other applications of the cluster, and ends with it.
        """
        if _get_global_client(raise_if_no_controller_running=False) is not None:
            ray_serve.delete(self.name)


def start_app(
    settings: ServeSettings,
    model_dir: Path,
    *,
    challenger_dir: Path | None = None,
    challenger_timeout_s: float = 2.0,
    split: Split | None = None,
    store_url: str | None = None,
    registry: RegistrySettings | None = None,
    name: str = APP,
) -> RunningApp:
    """Deploy the ensemble of `model_dir` and its HTTP ingress, and wait until both answer.

    Serve is started if the cluster has none. If it has one, its HTTP address stays as it is and
    `settings.host` and `settings.port` are not used: Serve has one address for all applications.

    Parameters
    ----------
    settings : ServeSettings
    model_dir : Path
        A saved ensemble; on a cluster every node must see it under this path.
    challenger_dir : Path, optional
        The ensemble of an experiment's challenger, deployed beside it.
    challenger_timeout_s : float
        How long the challenger may take for a prediction.
    split : Split, optional
        Which symbols it answers for over HTTP; none by default, as a shadow.
    store_url : str, optional
        Store whose experiments are shown and changed over HTTP.
    registry : RegistrySettings, optional
        Of that store.
    name : str
        Name of the application; one of that name is replaced.

    Raises
    ------
    ModelError
        If `model_dir` holds no ensemble; nothing is started then.
    OperationError
        If the port is taken, or the application does not become ready.
    """
    context = load_ensemble(model_dir).context
    # Serve tells its progress on stderr, where the caller's own display is.
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    if _get_global_client(raise_if_no_controller_running=False) is None:
        _start_serve(settings)
    split = split or Split("challenger", 0.0)
    args = AppArgs.of(
        settings,
        model_dir,
        challenger_dir=challenger_dir,
        challenger_timeout_s=challenger_timeout_s,
        experiment=split.salt,
        challenger_share=split.challenger,
        holdout=split.holdout,
        store_url=store_url,
        registry=registry or RegistrySettings(),
    )
    options = _get_global_client().http_config
    host = reachable(options.host)
    beside = None
    if challenger_dir is not None:
        sees = load_ensemble(challenger_dir).context
        beside = ServePredictor(
            name, timeout_s=challenger_timeout_s, retries=1, context=sees, deployment=deployment_of(challenger_dir)
        )
    champion = ServePredictor(name, context=context, deployment=deployment_of(model_dir))
    app = RunningApp(name, f"http://{host}:{options.port}", champion, beside)
    try:
        ray_serve.run(build_app(args), name=name, route_prefix="/")
        _wait_until_ready(host, options.port)
    except (RuntimeError, RayServeException) as error:
        app.stop()
        cause = error.cause if isinstance(error, RayTaskError) else error
        raise OperationError(f"the Serve application {name!r} did not start: {str(cause).strip()}") from error
    except BaseException:
        app.stop()
        raise
    return app


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
