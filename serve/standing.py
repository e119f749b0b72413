"""The standing application, seen from a process that has joined its cluster: its place, its state, its end."""

from __future__ import annotations

import logging
from typing import Any

from ray import serve as ray_serve
from ray.exceptions import RayError
from ray.serve.context import _get_global_client
from ray.serve.exceptions import RayServeException

from serve.names import INGRESS
from serve.readiness import ask_ready, reachable
from trader.core.errors import ConflictError, OperationError

__all__ = ["ask", "check_free", "serve_runs", "state_of", "take_away"]

_ANSWER_TIMEOUT_S = 10.0
_NOWHERE: dict[str, Any] = {
    "http_url": None,
    "ready": False,
    "problem": "Ray Serve does not run on this cluster",
    "standing": None,
    "members": [],
    "applications": [],
}


def serve_runs() -> bool:
    """Return whether Ray Serve runs on the cluster."""
    return _client() is not None


def check_free(name: str, port: int | None) -> None:
    """Refuse to start where something is in the way.

    Parameters
    ----------
    name : str
        Of the application to be started.
    port : int, optional
        The one asked for, where one was.

    Raises
    ------
    ConflictError
        If an application has this name or its place, or Ray Serve listens on another port than the one asked for.
    """
    client = _client()
    if client is None:
        return
    for other, found in client.get_serve_details()["applications"].items():
        if other == name:
            raise ConflictError(
                f"--name {name!r}: an application of that name runs on this cluster, and no process of these runs "
                "holds it; take it away first: `trader serve down --address HOST:PORT`"
            )
        if found["route_prefix"] == "/":
            raise ConflictError(
                f"application {other!r} answers at '/' on this cluster, where only one can; end it first, "
                "or give another --address"
            )
    if port not in (None, 0, client.http_config.port):
        raise ConflictError(
            f"--port {port}: Ray Serve listens on port {client.http_config.port} of this cluster already, "
            "for all applications; leave --port out"
        )


def state_of(name: str) -> dict[str, Any]:
    """Return what runs on the cluster, and what the application of this name serves; JSON-ready.

    `ready` is whether `/readyz` answers 200, and `problem` what happens instead; `members` come from a replica, and
    `standing`, which deployment does what and how the variants do, from the ingress.
    """
    client = _client()
    if client is None:
        return dict(_NOWHERE)
    details = client.get_serve_details()
    options = client.http_config
    host = reachable(options.host)
    applications = [_application(each, found) for each, found in details["applications"].items()]
    own = next((each for each in applications if each["name"] == name), None)
    if own is None:
        problem: str | None = f"no application {name!r} runs on this cluster"
    elif own["status"] != "RUNNING":
        problem = f"{own['status']}: {own['message']}"
    else:
        problem = ask_ready(host, options.port)
    standing = ask(name, INGRESS, "standing") if problem is None else None
    return {
        "http_url": f"http://{host}:{options.port}",
        "ready": problem is None,
        "problem": problem,
        "standing": standing,
        "members": [] if standing is None else _members(name, standing["plan"]["champion"]),
        "applications": applications,
    }


def take_away(name: str, *, end_serve: bool) -> bool:
    """Delete an application when its requests are answered; return whether there was one.

    Parameters
    ----------
    name : str
    end_serve : bool
        End Ray Serve too, which frees its port, if no other application is left.
    """
    client = _client()
    if client is None:
        return False
    there = name in client.get_serve_details()["applications"]
    if there:
        ray_serve.delete(name)
    if end_serve and not client.get_serve_details()["applications"]:
        ray_serve.shutdown()
    return there


def _client() -> Any:
    """Return Serve's client, None where Serve does not run; Serve tells its progress on stderr, which is ours."""
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    return _get_global_client(raise_if_no_controller_running=False)


def _application(name: str, found: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "status": _word(found["status"]),
        "message": found["message"],
        "route_prefix": found["route_prefix"],
        "deployments": [
            {
                "name": deployment,
                "status": _word(state["status"]),
                "message": state["message"],
                "target_replicas": state["target_num_replicas"],
                "replicas": [
                    {
                        "id": replica["replica_id"],
                        "state": _word(replica["state"]),
                        "pid": replica["pid"],
                        "node_ip": replica["node_ip"],
                    }
                    for replica in state["replicas"]
                ],
            }
            for deployment, state in found["deployments"].items()
        ],
    }


def _word(state: Any) -> str:
    """Return one of Serve's states as it is written in its REST interface."""
    return str(getattr(state, "value", state))


def _members(name: str, champion: str) -> list[dict[str, Any]]:
    return [
        {"key": member.key, "version": member.version, "weight": member.weight, "sha256": member.sha256}
        for member in ask(name, champion, "describe").members
    ]


def ask(name: str, deployment: str, method: str) -> Any:
    """Return what a method without arguments of an application's deployment answers.

    Raises
    ------
    OperationError
        If it does not within 10 s.
    """
    try:
        handle = ray_serve.get_deployment_handle(deployment, name)
        return getattr(handle, method).remote().result(timeout_s=_ANSWER_TIMEOUT_S)
    except (RayError, RayServeException, TimeoutError, KeyError) as error:
        raise OperationError(f"{deployment} of {name!r} does not answer {method}: {error!r}") from error
