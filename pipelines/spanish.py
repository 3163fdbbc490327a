"""Fills the slots of Spanish frames with what a brief holds; a slot that cannot be right is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.phrases import COMMON_SLOTS, capitalized, common_slots, cut, edges, without_entities

if TYPE_CHECKING:
    from pipelines.records import Brief

SLOTS = COMMON_SLOTS | {"topic", "Topic"}
TOPIC_LENGTH = 80
SIGNS = ("URL", "MENTION", "HASHTAG", "CASHTAG", "EMOJI")


def slots(brief: Brief) -> dict[str, str]:
    """Return the slots that the brief fills with correct grammar, by name; names are a subset of SLOTS."""
    topic = cut(
        next(filter(None, map(edges, brief.keywords)), edges(without_entities(brief.query, brief.entities, SIGNS))),
        TOPIC_LENGTH,
    )
    found = common_slots(brief, topic)
    if topic:
        found |= {"topic": topic, "Topic": capitalized(topic)}
    return found
