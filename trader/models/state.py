"""The files of one fitted model: `model.json` and `arrays.safetensors`. No pickle, no code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import ModelError

__all__ = ["ARRAYS_FILE", "STATE_FILE", "read_state", "write_state"]

STATE_FILE = "model.json"
ARRAYS_FILE = "arrays.safetensors"


def write_state(folder: Path, state: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write both files into `folder`, which must exist; equal contents give equal bytes."""
    from safetensors.numpy import save_file

    (folder / STATE_FILE).write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
    save_file({key: np.ascontiguousarray(array) for key, array in arrays.items()}, folder / ARRAYS_FILE)


def read_state(folder: Path, name: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return what `write_state` wrote for a model of kind `name`.

    Raises
    ------
    ModelError
        If the folder holds another kind.
    OSError, ValueError, KeyError, TypeError
        If a file is missing or mangled.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    state = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
    if state["name"] != name:
        raise ModelError(f"{folder} holds a {state['name']!r} model; {name!r} was expected")
    try:
        return state, load_file(folder / ARRAYS_FILE)
    except SafetensorError as error:
        raise ValueError(f"{ARRAYS_FILE} is mangled: {error}") from error
