"""What README.md tells people to run, so that tests can run it."""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text()


def commands() -> list[str]:
    """Every command of a shell block; a command may span lines."""
    blocks = re.findall(r"```(?:bash|console)\n(.*?)```", TEXT, flags=re.DOTALL)
    return [command.strip() for block in blocks for command in re.split(r"\n(?=\S)(?!['}])", block) if command.strip()]


def posts() -> list[tuple[str, dict[str, Any]]]:
    """Path and body of every curl command that posts."""
    post = re.compile(r"http://127\.0\.0\.1:8000(\S+) .*?-d '(.*)'", flags=re.DOTALL)
    return [(match[1], json.loads(match[2])) for command in commands() if (match := post.search(command))]
