"""python -m training.read_blind: what strangers would have posted, of the texts that the product gave them.

`training/readings/evaluation` keeps every verdict: briefs that nobody had tuned on, texts shuffled among other sources,
two readers a list who saw neither source nor score. `first` is what the product says to post: its first candidate, or
the author's own text where it says so. What was not offered is in no list.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

READINGS = Path(__file__).parent / "readings" / "evaluation"


def rows(name: str) -> list[dict[str, Any]]:
    """Return the rows of one list."""
    return [json.loads(line) for line in (READINGS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def share(texts: list[dict[str, Any]]) -> str:
    """Return the share of verdicts that say post, beside how many texts were read."""
    verdicts = [verdict for text in texts for verdict in text["verdicts"]]
    return f"{100 * sum(verdicts) / len(verdicts):.0f} % of {len(texts)}" if verdicts else "none"


def main() -> None:
    """Print the tables of docs/writing.md."""
    lists = {name: [row for row in rows(name) if row["first"]] for name in ("en_first", "en_second", "es")}
    print("| what the product says to post | English, first | English, second | Spanish |\n|---|---|---|---|")
    print(f"| **all** | {' | '.join(share(texts) for texts in lists.values())} |")
    kinds = Counter(text["kind"] for texts in lists.values() for text in texts)
    for kind, _ in kinds.most_common():
        found = [share([text for text in texts if text["kind"] == kind]) for texts in lists.values()]
        print(f"| {kind.replace('_', ' ')} | {' | '.join(found)} |")
    for source in ("edit", "template", "lm", "yours"):
        found = [share([text for text in texts if text["source"] == source]) for texts in lists.values()]
        print(f"| from `{source}` | {' | '.join(found)} |")
    alone = share(rows("en_language_model"))
    print(f"\nThe language model's own best text, before anything else is put beside it (first): {alone}.")
    for name in ("en_first_pairs", "en_second_pairs", "es_pairs"):
        said = Counter(verdict for pair in rows(name) for verdict in pair["better"])
        print(f"{name}: candidate {said['candidate']}, the author's own {said['raw']}, same {said['same']}.")
    for name in lists:
        two = [row["verdicts"] for row in rows(name) if len(row["verdicts"]) == 2]
        agreed = sum(first == second for first, second in two) / len(two)
        print(f"{name}: the two readers agree on {100 * agreed:.0f} % of {len(two)}.")


if __name__ == "__main__":
    main()
