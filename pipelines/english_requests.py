"""Takes from an English query what speaks to the tool and not to readers: "write a tweet about ..."."""

from __future__ import annotations

import regex


def subject_of(query: str) -> str:
    """Return a query without instructions to whoever writes the tweet; what one asks how to do stays a "how to"."""
    query = WHAT_TO_SAY.sub(lambda match: "how to " if match["to"] else "", query, count=1)
    return FOR_WHOM.sub("", POLL.sub("", ORDER.sub("", query, count=1), count=1)).strip() or query


_POST = r"(?:(?:\w+ ){0,2}(?:tweets?|posts?|threads?|something|ideas)(?: \w+)?)"
WHAT_TO_SAY = regex.compile(
    r"^\s*(?:what|how) (?:can|could|should|do) (?:i|we) (?:tweet|post|write|say|share)"
    r"(?: (?:for|about|on)(?= )|(?P<to> to)(?= ))\s+",
    regex.IGNORECASE,
)
ORDER = regex.compile(
    r"^\s*(?:(?:please|can you|could you|i want to|i need to|we want to|we need to|help (?:me|us)(?: to)?) )*"
    rf"(?:(?:write|make|create|draft|give me|need|want) {_POST} (?:about|on|for|announcing|promoting|to announce)"
    r"|(?:tweets?|post|write) (?:about|on)(?! the )|tweets? about"
    r"|(?:please |(?:can|could) you )?(?:help (?:me|us) )?(?:promote|advertise)(?= (?:my|our|a) )"
    r"|announce(?= (?:the|our|my) ))"
    r"\s+",
    regex.IGNORECASE,
)
POLL = regex.compile(r"^\s*(?:poll time|quick poll|poll|question time)\s*[!:.]\s*", regex.IGNORECASE)
FOR_WHOM = regex.compile(
    r"\s*\((?:for|to) [^()]*\)|\s+for (?:our|my|the) (?:\w+ ){0,2}(?:account|followers|feed|profile)\s*$",
    regex.IGNORECASE,
)
