"""Where a conductor works: in the process that holds an application up, or in an actor that stays on the cluster."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from pathlib import Path

import ray
import structlog

from serve.app import AppArgs
from serve.auth import Credential
from serve.conductor import Applied, Conductor, Terms
from serve.config_file import keep_files
from serve.deployer import RayDeployer
from serve.wanted import members_of
from trader.core.errors import OperationError

__all__ = ["conduct", "conductor_of", "dismiss", "leave_conductor"]

_log = structlog.get_logger(__name__)

_NAMESPACE = "gpt-trader"
_PERIOD_S = 1.0
_START_TIMEOUT_S = 60.0


def conductor_of(terms: Terms, args: AppArgs, credentials: tuple[Credential, ...], folder: Path) -> Conductor:
    """Return the conductor of an application on the cluster that this process is connected to.

    Parameters
    ----------
    terms : Terms
    args : AppArgs
    credentials : tuple of Credential
        What the application was built from.
    folder : Path
        Of the application; its files follow what is served.
    """

    def on_change(now: Applied) -> None:
        if folder.is_dir():
            keep_files(folder, args.but(now.serving), members_of(now.intent), name=terms.app)

    return Conductor(terms, RayDeployer(terms.app, args, credentials), on_change=on_change)


def conduct(conductor: Conductor, ending: threading.Event) -> Future[None]:
    """Step a conductor each second in a thread of its own, which a step that hangs with its cluster cannot outlive.

    Returns a future that is done after the step in which `ending` was set.
    """
    done: Future[None] = Future()

    def work() -> None:
        try:
            while not ending.wait(_PERIOD_S):
                conductor.step()
            conductor.close()
        except BaseException as error:  # noqa: BLE001 - it is raised where the future is waited for
            done.set_exception(error)
        else:
            done.set_result(None)

    threading.Thread(target=work, name="conductor", daemon=True).start()
    return done


class _Conducting:
    """A conductor in an actor."""

    def __init__(self, terms: Terms, args: AppArgs, credentials: tuple[Credential, ...], folder: Path) -> None:
        done = conduct(conductor_of(terms, args, credentials, folder), threading.Event())
        done.add_done_callback(
            lambda ended: _log.error("conducting_ended", app=terms.app, error=repr(ended.exception()))
        )

    def ready(self) -> None:
        """Return once it is at work."""


def leave_conductor(terms: Terms, args: AppArgs, credentials: tuple[Credential, ...], folder: Path) -> None:
    """Leave a conductor on the cluster; it is restarted where its node dies, and goes on from the store.

    Raises
    ------
    OperationError
        If it does not start.
    """
    options = {"name": _name(terms.app), "namespace": _NAMESPACE, "lifetime": "detached", "num_cpus": 0}
    actor = ray.remote(_Conducting).options(max_restarts=-1, **options).remote(terms, args, credentials, folder)
    try:
        ray.get(actor.ready.remote(), timeout=_START_TIMEOUT_S)
    except (ray.exceptions.RayError, TimeoutError) as error:
        dismiss(terms.app)
        raise OperationError(f"the conductor of {terms.app!r} did not start: {error}") from error


def dismiss(app: str) -> None:
    """End the conductor that was left for an application, if there is one."""
    try:
        ray.kill(ray.get_actor(_name(app), _NAMESPACE))
    except ValueError:
        return


def _name(app: str) -> str:
    return f"{app}-conductor"
