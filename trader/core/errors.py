"""The exception tree.

::

    TraderError                     anything GPT-Trader raises on purpose
    ├── UserError                   the input is wrong; exit code 2
    │   ├── SettingsError           an unreadable or invalid configuration
    │   ├── DataError               a file, column, value or symbol that cannot be used
    │   └── NotFoundError           a run, model or file that does not exist
    ├── OperationError              the input is right but the work failed; exit code 1
    │   ├── StoreError              the store could not be read or written
    │   │   └── StoreUnavailableError   it does not answer now, is locked or full; retrying may help
    │   ├── ModelError              a model could not be fitted, loaded or verified
    │   ├── ConflictError           what is so now does not allow it; somebody else may have changed it
    │   └── ServiceUnavailableError a remote part did not answer in time; retrying may help
    └── Interrupted                 the user asked to stop; the work so far is kept

Messages name the argument, the value and what is allowed.
"""

from __future__ import annotations

__all__ = [
    "ConflictError",
    "DataError",
    "Interrupted",
    "ModelError",
    "NotFoundError",
    "OperationError",
    "ServiceUnavailableError",
    "SettingsError",
    "StoreError",
    "StoreUnavailableError",
    "TraderError",
    "UserError",
]


class TraderError(Exception):
    """Base of every error raised on purpose; `exit_code` is what the CLI returns."""

    exit_code = 1


class UserError(TraderError):
    """The caller can repair this by changing the input."""

    exit_code = 2


class SettingsError(UserError):
    """A configuration file, environment variable or option is invalid."""


class DataError(UserError):
    """A data file, column, value or symbol cannot be used."""


class NotFoundError(UserError):
    """A named run, model, symbol or file does not exist."""


class OperationError(TraderError):
    """The input was acceptable, the work failed."""


class StoreError(OperationError):
    """The store could not be read or written."""


class StoreUnavailableError(StoreError):
    """The store does not take or give anything now: it is away, locked or full. Retrying may help."""


class ModelError(OperationError):
    """A model could not be fitted, saved, loaded or verified."""


class ConflictError(OperationError):
    """The present state does not allow what was asked; the message names it. Somebody else may have changed it."""


class ServiceUnavailableError(OperationError):
    """A remote part (Serve, Redis, an actor) did not answer in time."""


class Interrupted(TraderError):  # noqa: N818 - not an error: a request, like KeyboardInterrupt
    """The user asked to stop; everything done so far is kept."""

    exit_code = 130
