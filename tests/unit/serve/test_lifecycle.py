"""What is checked before anything starts."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from serve.lifecycle import claim_port, start_app
from serve.plan import Serving
from trader.core.errors import ModelError, OperationError
from trader.settings.sections import ServeSettings


def test_taken_port_is_one_clear_line() -> None:
    """The error names host and port and says what to do."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(OperationError, match=rf"serve.port={port} is taken by another process; choose another"):
            claim_port("127.0.0.1", port)


def test_port_zero_is_a_free_port() -> None:
    """0 gives a port that can be bound."""
    port = claim_port("127.0.0.1", 0)
    with socket.socket() as own:
        own.bind(("127.0.0.1", port))
    assert port > 0


def test_foreign_host_is_refused() -> None:
    """An address that is not this machine's is named."""
    with pytest.raises(OperationError, match=r"serve.host='203.0.113.1'"):
        claim_port("203.0.113.1", 0)


def test_folder_without_models_starts_nothing(tmp_path: Path) -> None:
    """A wrong model folder fails before Ray is touched."""
    import ray

    running = ray.is_initialized()
    with pytest.raises(ModelError, match=r"manifest\.json is missing"):
        start_app(ServeSettings(port=0), Serving(model_dir=tmp_path))
    assert ray.is_initialized() is running
