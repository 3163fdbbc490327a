"""What README and the pages of docs/ tell people to run, so that tests can run it."""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", ROOT / "README.es.md", *sorted((ROOT / "docs").glob("*.md")))
}


def commands() -> list[str]:
    """Every command of a shell block, page by page; a command may span lines."""
    blocks = [
        block for text in PAGES.values() for block in re.findall(r"```(?:bash|console)\n(.*?)```", text, re.DOTALL)
    ]
    return [command.strip() for block in blocks for command in re.split(r"\n(?=\S)(?!['}])", block) if command.strip()]


def posts() -> list[tuple[str, dict[str, Any]]]:
    """Path and body of every curl command that posts."""
    post = re.compile(r"http://127\.0\.0\.1:8000(\S+) .*?-d '(.*)'", flags=re.DOTALL)
    sent = [command for command in commands() if "-X PUT" not in command]
    return [(match[1], json.loads(match[2])) for command in sent if (match := post.search(command))]


def answers(page: str) -> list[dict[str, Any]]:
    """Every JSON block of a page."""
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGES[page], flags=re.DOTALL)]
