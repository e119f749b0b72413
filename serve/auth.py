"""Who may change what: bearer tokens, each of a user with a role."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import os
import re
from collections.abc import Callable, Mapping
from enum import IntEnum

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from serve.problems import ProblemError
from trader.core.errors import SettingsError

__all__ = ["TOKEN_VARIABLE", "Credential", "Guard", "Role", "credentials_from_environment"]

TOKEN_VARIABLE = "TRADER_API_TOKEN"  # noqa: S105 - the name of a variable, not a token
"""Environment variable with the token of `admin`; with `_` and a user's name in capitals, that of the user."""
_LEAST_LENGTH = 16
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")


class Role(IntEnum):
    """What a user may do; each role may do what those below it may."""

    VIEWER = 1
    TRADER = 2
    """Begins and stops experiments."""
    ADMIN = 3
    """Decides which version is champion."""


@dataclasses.dataclass(frozen=True, slots=True)
class Credential:
    """A user, and the SHA-256 of the user's token; the token itself is kept nowhere."""

    user: str
    role: Role
    digest: str = dataclasses.field(repr=False)


def credentials_from_environment(
    users: Mapping[str, str], environment: Mapping[str, str] = os.environ
) -> tuple[Credential, ...]:
    """Return the users that have a token.

    Parameters
    ----------
    users : mapping of str to str
        Role by name; `serve.users` of the settings.
    environment : mapping

    Raises
    ------
    SettingsError
        If a name or role is not allowed, a named user has no token, a token is shorter than 16 characters, or two
        users have the same.
    """
    wanted = {name: f"{TOKEN_VARIABLE}_{name.upper()}" for name in users}
    roles = {name: _role(name, role) for name, role in users.items()}
    if TOKEN_VARIABLE in environment and "admin" not in wanted:
        wanted["admin"], roles["admin"] = TOKEN_VARIABLE, Role.ADMIN
    found: dict[str, Credential] = {}
    for name, variable in wanted.items():
        token = environment.get(variable, "")
        if len(token) < _LEAST_LENGTH:
            raise SettingsError(f"{variable} has {len(token)} characters; a token needs at least {_LEAST_LENGTH}")
        digest = _digest(token)
        if digest in found:
            raise SettingsError(f"{variable} is the token of {found[digest].user!r} too; every user needs another")
        found[digest] = Credential(name, roles[name], digest)
    return tuple(found.values())


class Guard:
    """Lets a request pass if its token is that of a user whose role suffices.

    Parameters
    ----------
    credentials : sequence of Credential
        Without any, nothing that needs a role passes.
    """

    def __init__(self, credentials: tuple[Credential, ...] = ()) -> None:
        self._credentials = credentials

    def needs(self, role: Role) -> Callable[..., None]:
        """Return a FastAPI dependency that keeps the user's name as `request.state.user`, or answers 401 or 403.

        Either way `request.state.caller` says whose token it was, a name and a role, for the audit log.
        """
        name = role.name.lower()
        bearer = HTTPBearer(auto_error=False, scheme_name=name, description=f"A token of role {name} or above.")

        def check(request: Request, given: HTTPAuthorizationCredentials | None = Depends(bearer)) -> None:  # noqa: B008
            found = None if given is None else self._find(given.credentials)
            request.state.caller = (None, None) if found is None else (found.user, found.role.name.lower())
            if found is None:
                what = "a bearer token is needed" if given is None else "the bearer token is nobody's"
                detail = f"{what}; {request.method} {request.url.path} asks for role {name}"
                raise ProblemError(401, "unauthenticated", detail, headers={"WWW-Authenticate": "Bearer"})
            if found.role < role:
                detail = f"{found.user} is {found.role.name.lower()}; {name} is needed"
                raise ProblemError(403, "forbidden", detail)
            request.state.user = found.user

        return check

    def _find(self, token: str) -> Credential | None:
        digest, found = _digest(token), None
        for credential in self._credentials:  # all of them, each in the same time: how long it takes tells nothing
            if hmac.compare_digest(credential.digest, digest):
                found = credential
        return found


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _role(name: str, role: str) -> Role:
    if not _NAME.fullmatch(name):
        raise SettingsError(f"serve.users names {name!r}; a letter and up to 31 letters, digits and '_' are allowed")
    try:
        return Role[role.upper()]
    except KeyError:
        allowed = ", ".join(each.name.lower() for each in Role)
        raise SettingsError(f"serve.users[{name!r}]={role!r} is not allowed; one of {allowed} is") from None
