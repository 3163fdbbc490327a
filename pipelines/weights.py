"""Reads the files of a trained model and refuses those that its metadata.json does not vouch for."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import WeightsRefused


def read_weights(folder: Path, version_of_format: int) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return metadata.json and the content of every file that its `sha256` names.

    Raises:
        WeightsRefused: a file is missing, unreadable or not that of the metadata, or the format is another one.
    """
    try:
        metadata: dict[str, Any] = json.loads((folder / "metadata.json").read_bytes())
        expected: dict[str, str] = dict(metadata["sha256"])
        files = {name: (folder / name).read_bytes() for name in expected}
        found = metadata["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsRefused(f"{folder}: {error}") from error
    if found != version_of_format:
        raise WeightsRefused(f"{folder}: format {found}, this code reads {version_of_format}")
    for name, content in files.items():
        if hashlib.sha256(content).hexdigest() != expected[name]:
            raise WeightsRefused(f"{folder}: {name} does not have the SHA-256 of metadata.json")
    return metadata, files


def read_arrays(packed: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays of an .npz file; no pickle is read."""
    with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
