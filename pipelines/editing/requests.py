"""What is said to the tool and not to readers: a request for a post, and what leads to the text itself."""

from __future__ import annotations

from typing import Final

import regex

from pipelines.records import Language

# Marks of a request anywhere in a text.
REQUEST: Final = regex.compile(
    r"^(?:(?:please|pls|can you|could you|i (?:want|need) you to|por favor|puedes|quiero que)\b[ ,]*)*"
    r"(?:(?:write|draft|escribe|redacta|escribas)\b(?=.*\b(?:something|tweet|post|thread|about|algo|tuit|hilo|sobre)\b)"
    r"|(?:make|create|give|haz|hazme|crea|dame)(?: me| us)? (?:an?|some|un|una) (?:tweet|post|thread|tuit|hilo)\b"
    r"|(?:tweet|post|publica) (?:about|something|sobre|algo)\b"
    r"|(?:tell (?:people|everyone|them|our \w+)|let people know) (?:about|that|how)\b)"
    r"|^(?:something|algo) (?:about|on|sobre)\b|\b(?:poll|encuesta) (?:please|pls|por favor|porfa)\b",
    regex.IGNORECASE,
)
# How such a request begins, up to what the post is about.
LEAD: Final = regex.compile(
    r"^(?:(?:please|pls|can you|could you|i (?:want|need)(?: you to)?|por favor|puedes|quiero(?: que)?|necesito)\b"
    r"[ ,]*)*"
    r"(?:(?:write|draft|make|create|give|haz|hazme|crea|dame|escribe|redacta|escribas) (?:(?:me|us) )?"
    r"(?:(?:an?|some|un|una) )?(?:\p{L}+ )?(?:tweet|post|thread|tuit|hilo|something|algo)"
    r"|(?:an? |un )?(?:tweet|tuit)|something|algo)(?: (?:nice|short|funny|lindo|bonito|corto))?"
    r" (?:about|on|saying|sobre|para|diciendo que)(?: (?:how|that|cómo|como))?:? "
    r"|^(?:tell (?:people|everyone|them|our \p{L}+)|let people know) (?:about|that) "
    # What leads to the text itself: "draft, not sure about the end: ...", "solo púlelo: «...»", "quiero publicar que"
    r"|^(?:(?:rough )?draft|borrador)\b[^:.!?\n]{0,40}: "
    r"|^(?:(?!\b(?:we|i|our|they)\b)[^:.!?\n]){0,60}\b(?:polish|fix|edit|improve|tidy|reword)"
    r"(?: (?:this|it|up|the text|my (?:tweet|post|draft)))*: "
    r"|^[^:.!?\n]{0,60}\b(?:p[uú]le|corr[ií]ge|mej[oó]ra|arr[eé]gla)(?:me)?(?:lo|la)?"
    r"(?: (?:esto|este texto|porfa|por favor))?: "
    r"|^(?:hola,? )?(?:quiero|quisiera|necesito) (?:publicar|tuitear|postear|decir) (?:q|que) ",
    regex.IGNORECASE,
)
QUOTED: Final = regex.compile(r"[«\"“](?P<said>[^«»\"“”]+)[»\"”]\.?")
MIN_SUBJECT_WORDS: Final = 3
# An order to write something, in each language.
ORDER: Final = {
    "en": regex.compile(
        r"^(?:please |pls |can you |could you |help me (?:to )?|i (?:need|want) (?:you to |a |some )?)?"
        r"(?:write|draft|generate|create|compose|make|give me|suggest|come up with|rewrite|rephrase|turn (?:this|"
        r"it) into|"
        r"need|i need|i want|tweet about|post about|a (?:tweet|post|thread) (?:about|on|for)|ideas for)\b"
        r"(?=.{0,60}\b(?:tweets?|posts?|threads?|captions?|ideas?|hashtags?|announcement|slogan|bio|hook|"
        r"headline)\b)|"
        r"^(?:tweet|post|thread|caption|announcement|something) (?:about|for|on|to (?:announce|promote))\b",
        regex.IGNORECASE,
    ),
    "es": regex.compile(
        r"^(?:por favor,? )?(?:escribe|escríbeme|redacta|genera|crea|haz(?:me)?|dame|sugiere|necesito|quiero|"
        r"ayúdame con|"
        r"reescribe|convierte)\b(?=.{0,60}\b(?:tuits?|tweets?|post|posts|publicación|publicacion|hilo|ideas|"
        r"texto|anuncio|"
        r"eslogan|copy|pie de foto)\b)|^(?:tuit|tweet|post|publicación|hilo|ideas|algo) (?:sobre|para|de)\b",
        regex.IGNORECASE,
    ),
}


def is_request(text: str) -> bool:
    """Whether a text asks for a post rather than being one: "write something about rain"."""
    return REQUEST.search(text) is not None


def is_order(text: str, language: Language) -> bool:
    """Whether a text begins with an order to write a post, a caption, a headline."""
    return ORDER[language].search(text) is not None


def subject(query: str) -> str:
    """Return what a request to the tool is about: "write a post about how ..." is none of the post; else the query."""
    lead = LEAD.match(query)
    rest = query[lead.end() :].strip() if lead else ""
    whole = QUOTED.fullmatch(rest)
    rest = whole["said"] if whole else rest
    return rest if len(rest.split()) >= MIN_SUBJECT_WORDS else query
