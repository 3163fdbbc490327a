"""The bill of materials as CycloneDX 1.6: every package of .venv with its licence, and every model of models/.

python -m tests.audit.sbom --python .venv/bin/python --out .murmuration/sbom.json
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Write the file, or fail where it is no CycloneDX."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", required=True, help="whose packages are listed")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    document = packages(arguments.python)
    document["components"] += [model(folder) for folder in sorted((ROOT / "models").iterdir()) if folder.is_dir()]
    written = json.dumps(document, indent=1)
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(written):
        sys.exit(f"no CycloneDX: {error}")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(written + "\n")
    print(f"{len(document['components'])} components: {arguments.out}")


def packages(python: str) -> dict[str, Any]:
    """Return the document of an environment's packages."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--sv", "1.6", "--of", "JSON"]
    # Our own name and version stand in pyproject.toml.
    command += ["--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible", python]
    document: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return document


def model(folder: Path) -> dict[str, Any]:
    """Return a model as a component: its files with their hashes, and what metadata.json knows of licence and origin.

    A licence stands there only of a model with a base that has one: of the data the card tells, in words.
    """
    metadata = json.loads((folder / "metadata.json").read_bytes())
    card = (folder / "CARD.md").read_text(encoding="utf-8")
    files = [path for path in sorted(folder.iterdir()) if path.name != "CARD.md"]
    base = metadata.get("base")
    licence = base.get("licence") if isinstance(base, dict) else None
    return {
        "type": "machine-learning-model",
        "bom-ref": f"models/{folder.name}",
        "name": folder.name,
        "version": str(metadata.get("version", metadata["format"])),
        "description": next((line for line in card.splitlines() if line and not line.startswith("#")), folder.name),
        **({"licenses": [{"license": {"id": licence}}]} if licence else {}),
        "properties": [
            {"name": "murmuration:card", "value": f"models/{folder.name}/CARD.md"},
            *(
                {"name": f"murmuration:{name}", "value": json.dumps(metadata[name])}
                for name in ("base", "base_sha256", "code", "commit", "data", "data_sha256", "texts_sha256")
                if name in metadata
            ),
        ],
        "components": [
            {
                "type": "file",
                "bom-ref": f"models/{folder.name}/{path.name}",
                "name": path.name,
                "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}],
            }
            for path in files
        ],
    }


if __name__ == "__main__":
    main()
