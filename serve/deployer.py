"""Changes an application on the Ray cluster that this process is connected to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serve.app import AppArgs, application
from serve.auth import Credential
from serve.lifecycle import deploy
from serve.names import INGRESS
from serve.plan import Serving, deployment_of
from serve.standing import ask
from trader.core.errors import OperationError
from trader.models.artifacts import load_ensemble

__all__ = ["RayDeployer"]


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
        ask(self._name, name, "probe")
        found = {member.key: member.sha256 for member in ask(self._name, name, "describe").members}
        if found != wanted:
            raise OperationError(f"{name} serves {found}, and {folder} holds {wanted}")

    def standing(self) -> Mapping[str, Any]:
        """Return what the ingress says of its plan and its variants; raise OperationError if it does not answer."""
        answer: Mapping[str, Any] = ask(self._name, INGRESS, "standing")
        return answer
