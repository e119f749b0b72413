"""Changes an application on the Ray cluster that this process is connected to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import serve as ray_serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

from serve.app import AppArgs, application
from serve.auth import Credential
from serve.lifecycle import deploy
from serve.names import INGRESS
from serve.plan import Serving, deployment_of
from trader.core.errors import OperationError
from trader.models.artifacts import load_ensemble

__all__ = ["RayDeployer"]

_ANSWER_TIMEOUT_S = 10.0


class RayDeployer:
    """`serve.conductor.Deployer` of a running application.

    Parameters
    ----------
    name : str
        Of the application.
    args : AppArgs
    credentials : tuple of Credential
        What it was built from; what is served may be another by now.
    """

    def __init__(self, name: str, args: AppArgs, credentials: tuple[Credential, ...]) -> None:
        self._name = name
        self._args = args
        self._credentials = credentials

    def deploy(self, serving: Serving) -> None:
        """Make it so in place, and return when all replicas are well; raise OperationError if they will not be."""
        deploy(application(self._args.but(serving), self._credentials), self._name)

    def check(self, folder: Path) -> None:
        """Raise OperationError unless the ensemble of a folder is deployed, is the one of its files, and answers."""
        name = deployment_of(folder)
        wanted = dict(load_ensemble(folder).metadata["content_hash"])
        self._ask(name, "probe")
        found = {member.key: member.sha256 for member in self._ask(name, "describe").members}
        if found != wanted:
            raise OperationError(f"{name} serves {found}, and {folder} holds {wanted}")

    def standing(self) -> Mapping[str, Any]:
        """Return what the ingress says of its plan and its variants; raise OperationError if it does not answer."""
        answer: Mapping[str, Any] = self._ask(INGRESS, "standing")
        return answer

    def _ask(self, deployment: str, method: str) -> Any:
        try:
            handle = ray_serve.get_deployment_handle(deployment, self._name)
            return getattr(handle, method).remote().result(timeout_s=_ANSWER_TIMEOUT_S)
        except (RayError, RayServeException, TimeoutError, KeyError) as error:
            raise OperationError(f"{deployment} of {self._name!r} does not answer {method}: {error!r}") from error
