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

# The hashes of all models that a release brings, in the format of sha256sum.
SUMS = "SHA256SUMS"


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


def check_sums(models: Path) -> None:
    """Check every file of `models` against its SHA256SUMS, as `sha256sum -c` does; cards are for people and not in it.

    Raises:
        WeightsRefused: a file is missing, not as it is listed, or not listed; the message says what to do.
    """
    listed = models / SUMS
    try:
        expected = dict(line.split("  ", 1)[::-1] for line in listed.read_text(encoding="utf-8").splitlines())
    except (OSError, ValueError) as error:
        raise WeightsRefused(f"{listed} cannot be read: {error}; restore it, or run `make sums`") from error
    there = {
        str(path.relative_to(models)): path
        for path in models.rglob("*")
        if path.is_file() and path.name not in {SUMS, "CARD.md"}
    }
    for name in sorted(expected.keys() | there.keys()):
        if name not in there:
            raise WeightsRefused(f"{models / name} is missing: restore it, with `git checkout {models}`")
        with there[name].open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected.get(name):
            raise WeightsRefused(
                f"{models / name} is not the file of {listed}: restore it, with `git checkout {models}`, "
                "or run `make sums` if you trained it yourself"
            )


def read_arrays(packed: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays of an .npz file; no pickle is read."""
    with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
