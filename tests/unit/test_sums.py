"""Only the models of the release are served, byte for byte, and nothing that serves reads a pickle."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from deployments import settings
from deployments.settings import ROOT, ConfigError, check_models
from pipelines.errors import WeightsRefused
from pipelines.weights import check_sums, read_arrays

SERVES = ("deployments", "pipelines", "store", "supervisor")
READS_PICKLE = {"pickle", "cloudpickle", "joblib", "dill", "shelve", "marshal"}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A copy of the small models, with sums of their own."""
    for name in ("judge", "substance"):
        shutil.copytree(ROOT / "models" / name, tmp_path / "models" / name)
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(tmp_path / 'models')}\n"
        for path in sorted((tmp_path / "models").rglob("*.*"))
        if path.name != "CARD.md"
    ]
    (tmp_path / "models" / "SHA256SUMS").write_text("".join(lines))
    return tmp_path / "models"


def test_the_models_of_the_release_are_those_of_their_sums() -> None:
    check_models()
    done = subprocess.run(
        ["sha256sum", "--check", "--quiet", "--strict", "SHA256SUMS"], cwd=ROOT / "models", check=False
    )
    assert done.returncode == 0


@pytest.mark.parametrize("name", ["judge/weights.npz", "judge/metadata.json"])
def test_one_changed_byte_is_named_with_what_to_do(models: Path, name: str) -> None:
    check_sums(models)
    content = bytearray((models / name).read_bytes())
    content[len(content) // 2] ^= 1
    (models / name).write_bytes(content)
    with pytest.raises(WeightsRefused, match=rf"{name} is not the file of .*git checkout .*make sums"):
        check_sums(models)


def test_a_file_that_is_missing_or_was_never_listed_is_named(models: Path) -> None:
    (models / "judge" / "more.npz").write_bytes(b"")
    with pytest.raises(WeightsRefused, match=r"more\.npz is not the file"):
        check_sums(models)
    (models / "judge" / "more.npz").unlink()
    (models / "judge" / "weights.npz").unlink()
    with pytest.raises(WeightsRefused, match=r"weights\.npz is missing"):
        check_sums(models)


@pytest.mark.parametrize("content", ["", "no sums\n", None])
def test_sums_that_cannot_be_read_vouch_for_nothing(models: Path, content: str | None) -> None:
    sums = models / "SHA256SUMS"
    sums.unlink()
    if content is not None:
        sums.write_text(content)
    with pytest.raises(WeightsRefused):
        check_sums(models)


def test_a_product_with_other_models_does_not_start(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (models / "judge" / "weights.npz").write_bytes(b"somebody else's")
    monkeypatch.setattr(settings, "ROOT", models.parent)
    with pytest.raises(ConfigError, match=r"judge/weights\.npz"):
        check_models()


def test_an_array_file_with_a_pickle_in_it_is_not_read(tmp_path: Path) -> None:
    class Stranger:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    np.savez(tmp_path / "weights.npz", array=np.array([Stranger()], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        read_arrays((tmp_path / "weights.npz").read_bytes())
    assert not (tmp_path / "ran").exists()


def test_nothing_that_serves_reads_a_pickle() -> None:
    found = []
    for path in (path for folder in SERVES for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = {alias.name.partition(".")[0] for alias in node.names} if isinstance(node, ast.Import) else set()
            if isinstance(node, ast.ImportFrom):
                names = {str(node.module).partition(".")[0]}
            call = ast.unparse(node) if isinstance(node, ast.Call) else ""
            unsafe = call.startswith(("torch.load(", "np.load(", "numpy.load(")) and not (
                "weights_only=True" in call or "allow_pickle=False" in call
            )
            if names & READS_PICKLE or unsafe or "trust_remote_code=True" in call:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []


def test_no_model_of_the_release_is_a_format_that_runs_code() -> None:
    kinds = {Path(line.split("  ")[1]).suffix for line in (ROOT / "models/SHA256SUMS").read_text().splitlines()}
    assert kinds <= {".json", ".npz", ".onnx", ".safetensors"}
    for path in (ROOT / "models").rglob("*.npz"):
        assert read_arrays(path.read_bytes())
    assert json.loads((ROOT / "models/encoder/metadata.json").read_bytes())["sha256"]
