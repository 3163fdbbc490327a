"""The marks at the ends of sentences: which one is missing for certain."""

from __future__ import annotations

import regex

from pipelines.editing.masks import HANDLE, HELD, IS_HELD, LINK, PICTURE, TAG
from pipelines.editing.statements import ASKED, says_something
from pipelines.records import Language
from pipelines.text.sentences import LISTED, is_shortened, sentences

# Fewer words make a heading or a wish as well; from the second on there is a verb that no list has.
MIN_WORDS = 4
SURELY_WHOLE = 9
CLOSES = frozenset({"sorry", "thanks", "done", "finally", "gracias", "perdón", "listo"})
MAX_EXCLAIMED = 14
# "¡Felicidades, yaya!": a call with a comma in it.
MAX_CALLED = 7
WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+(?:['\u2019-][\p{L}\p{M}\p{N}]+)*")
ENDED = regex.compile(r"[.!?…:;,\u2026][\"'\u201d\u2019»)\]]*$")
ADDRESS = regex.compile(rf"(?:[@/#_]|{HELD})\S*$|^$")
TRAILING = regex.compile(rf"(?:\s|{LINK}|{TAG}|{PICTURE}|{HANDLE})+$")
CLOSED = regex.compile(r"[\p{L}\p{M}\p{N}%€£$)\]\"\u201d»]$")
# What goes on after it, so that no question mark can be set.
GOES_ON = regex.compile(r"[,;:.!?…\n\u2013\u2014()]| - | (?:because|since|as) ", regex.IGNORECASE)
# A text that begins so is a heading or a question without its mark: nobody can tell which.
UNSURE = {
    "en": regex.compile(
        r"^(?:how|why|where|who|which|whose|whos|who's|ever|thoughts|am i|any|anyone|"
        r"when(?! (?:i|we|you|they|he|she|my|our|your|the|a)\b.*,)|"
        r"what(?!(?: (?:i|we|you|they|people))?(?: \p{L}+(?:['\u2019]\p{L}+)?){1,3} (?:is|was|are|were)\b)|"
        r"(?:is|are|does|did|could|would|should|has|was|were)\b|"
        r"(?:do|can|will|have) (?:you|we|i|they|it|he|she|this|that|your|the|people|there)\b)(?![\p{L}'\u2019])",
        regex.IGNORECASE,
    ),
    "es": regex.compile(
        r"^(?:¿|qué|que(?! (?:no se (?:te|os|les|me|nos) \p{L}+|nadie)\b)|por qué|por que|cómo|dónde|donde|cuándo|"
        r"como(?! (?:siempre|cada|dice|decía|tod[oa]s l[oa]s|si fuera|no hay|no había|no tengo|hoy no|ya no)\b)|"
        r"cuando(?! (?:era|éramos|tenía|teníamos|vivía|llueve|sube|llegué|podáis|(?:llegue|termine|acabe|empiece|"
        r"pueda|quiera|tenga|sea|salga|vuelva|vaya|venga|haga|diga|suba)[ns]?)\b)|quién|quien|cuál|cual|cuánt\p{L}+|"
        r"cuant\p{L}+|"
        r"alguien|alguno|algún|algun|hay alguien|sabéis|sabeis|saben|sabes|conocéis|conocen|conoces|prefer\p{L}+|"
        r"os parece|les parece|te parece|ustedes|vosotros)\b",
        regex.IGNORECASE,
    ),
}
# A question somewhere within, so that neither mark is certain.
ASKING = {
    "en": regex.compile(
        r"\b(?:(?:do|does|did|would|could|can|should) (?:you|anyone|anybody|they)|(?:is|are) there any\p{L}*|"
        r"has anyone|have you|are you)\b(?<!\b(?:so|nor|neither|than|as) \w+ \w+)|"
        r"[,;:] (?:who|what|where|when|why|how|which)['\u2019]?s?\b[^,;:]*$|\bany ideas\b",
        regex.IGNORECASE,
    ),
    "es": regex.compile(
        r"\b(?:quien se|quién se|cual es|cuál es|cuant[oa]s? \p{L}+n|alguien (?:sabe|conoce|tiene|más|mas)|les "
        r"parece|os parece|te parece)\b|"
        r"[,;:] (?:quién|qué|cuál|cuándo|dónde|cómo|quien|cual)\b[^,;:]*$",
        regex.IGNORECASE,
    ),
}
ASKS_ES = regex.compile(
    r"^(?:y |pero |o |entonces |hola |oye )?(?:(?:a|de|en|con|para|por|desde|hasta) )?"
    r"(?:qué|quién|quiénes|cuál|cuáles|cómo|cuándo|dónde|cuánt[oa]s?)\b",
    regex.IGNORECASE,
)
WITHIN_ES = regex.compile(
    r" (?:qué|quién|quiénes|cuál|cuáles|cómo|cuándo|dónde|cu[aá]nt[oa]s?|cual|quien)\b", regex.IGNORECASE
)
# A question whose author forgot `¿` forgot this accent as well, where the word is no echo: "que vienes?"
FORGOTTEN_ES = regex.compile(
    r"^(q)ue(?= (?!(?:si|no|te|ya|se|me|l[oa]s?|el|un|una|mi|tu|su|yo|tú|él|ella|va|van|vas|voy|vien\p{L}+|hoy|mañana|"
    r"cuándo|cómo|dónde|qué|quién|en|de|a|con)\b)\p{L})",
    regex.IGNORECASE,
)
# Who is called first, and the question after it.
ADDRESSED_ES = regex.compile(
    r"^(?:(?:che|oye|oigan|oíd|hola(?: a tod[oa]s| gente)?|buenas|buenos días|gente|chic[oa]s|vecin[oa]s|amig[oa]s|"
    r"perdón|disculpen|(?:una )?(?:pregunta|consulta|duda))|"
    r"(?:los|las|quienes) (?:que|de) [^,.;:?!¿]{3,60}?(?=,? c[oó]mo (?:le |lo )?(?:hac|hic|os org|se org)\p{L}+ "
    r"(?:para|con|cuando)\b))(?:[,:] | )(?=\p{L})",
    regex.IGNORECASE,
)
# A question after what it is about: "no llueve, ¿qué hacemos?"
INNER_ES = regex.compile(
    r"^.*\p{L}.*[,:] (?=(?:(?:y |pero |entonces )?(?:"
    r"(?:(?:a|de|en|con|para|por|desde|hasta) )?(?:qué|quién|quiénes|cuál|cuáles|cómo|cuándo|dónde|cuánt[oa]s?)\b|"
    r"que (?:hago|hac(?:en|emos|es|éis|és)|har(?:ían|ías)|opin\p{L}+|piens\p{L}+)\b|"
    r"como (?:(?:le )?hago|lo (?:ves?|ven|hacen|hacéis)|se hace)\b|donde (?:puedo|se puede|hay|compr\p{L}+)\b|"
    r"cual (?:es|prefer\p{L}+|prefier\p{L}+)\b)|"
    r"(?:no|verdad|vale|cierto|sí o no|no (?:creen|crees|creéis)|no (?:les|te|os) parece|alguna idea|algún consejo|"
    r"ideas|consejos|sugerencias|recomendaciones|voluntarios|"
    r"y (?:tú|vos|usted|ustedes|vosotr[oa]s)|(?:se apuntan|te apuntas|os apuntáis)(?: \p{L}+){0,4})$|"
    r"(?:ustedes|vosotr[oa]s|vos|tú) (?:qu[eé]|c[oó]mo|cu[aá]nto|cu[aá]l|dónde|cuándo)\b|"
    r"(?:les|os|te|le) parece\b|alguien (?:sabe|conoce|tiene|más|se|me|ha|puede)\b|"
    r"(?:saben|sabes|sabéis|conocen|conoces|conocéis) (?:si|de|dónde|alg\p{L}+)\b)[^,:;.…()]*$)",
    regex.IGNORECASE,
)
# What asks and goes on with an answer of the author's own.
ANSWERED_ES = regex.compile(
    r"^([^,.;:?!¿]+), (?=(?:yo empiezo|empiezo yo|empiezo con|yo primero|abro yo|l[eo]s leo|os leo|leo comentarios|"
    r"cuéntenme|contadme|contame)\b)",
    regex.IGNORECASE,
)
BORDER_ES = regex.compile(r"[,;:.…\u2013\u2014(\n]| - ")
QUESTION_WORDS = (
    (regex.compile(r"^(¿?)porque\b", regex.IGNORECASE), r"\1por qué"),
    (regex.compile(r"^(¿?)(por )que\b(?! no\b)", regex.IGNORECASE), r"\1\2qué"),
    (
        regex.compile(
            r"^(¿?)((?:(?:a|de|en|con|para|por|desde|hasta) )?)que(?= (?:día|dia|edad|hora|tal|opin|prefer|pas|hac|"
            r"hic|libro|"
            r"músic|music|película|pelicula|serie|canción|cancion|color|nombre|prenda|plato|sabor|tipo|clase|"
            r"significa|"
            r"pens|cre|recomend|busc|necesit|piensa|parec|es|son|os parece|les parece|te parece|falta|talla|precio|"
            r"regal|cocin|com|llev|us|dir|pon|consejo|parte|palabra|cosa|error|lugar|sitio|barrio|ciudad|"
            r"equipo|plan|curso|marca|canal|profe|ten[eé]|tien|quier|quer[eé])\p{L}*)",
            regex.IGNORECASE,
        ),
        r"\1\2qué",
    ),
    (regex.compile(r"^(¿?)((?:(?:a|de|con|para|por) )?)qui(en|enes)\b", regex.IGNORECASE), r"\1\2qui\3"),
)
PLAIN_QUESTION = regex.compile(
    r"^(¿?(?:(?:a|de|en|con|para|por|desde|hasta) )?)(quien|quienes|cual|cuales|cuanto|cuanta|cuantos|cuantas|"
    r"donde|cuando|como)"
    r"(?= \p{L})",
    regex.IGNORECASE,
)
ACCENT = {
    "quien": "quién", "quienes": "quiénes", "cual": "cuál", "cuales": "cuáles", "cuanto": "cuánto",
    "cuanta": "cuánta", "cuantos": "cuántos", "cuantas": "cuántas", "donde": "dónde",
    "cuando": "cuándo", "como": "cómo",
}  # fmt: skip
# "¿Como siempre?" and "¿Cuando vengas?" ask nothing of the sort.
NO_QUESTION = regex.compile(
    r"^¿?(?:como (?:siempre|tú|tu|yo|el|la|los|las|un|una|si)\b|cuando (?:\p{L}+(?:as|es|amos|an)) (?:\p{L}+ "
    r")?(?:me|te|nos|os|le))",
    regex.IGNORECASE,
)


# A question to somebody who is called first: "parents of toddlers, what's the one thing ..."
CALLED = regex.compile(
    r"^[^,.?!:;]{3,40}, (?:what(?:'s| is| are| do| did| was)|who|which|how (?:do|did|many|much|often|long)|"
    r"do you|did you|would you|have you|are you|can you)\b[^,;]*$",
    regex.IGNORECASE,
)


def ended(text: str, language: Language) -> str:
    """Set the mark that a masked text lacks at its end: after a sentence of some length, none after a link or a list.

    The mark comes before closing emoji only where a line break or nothing else parts them; in doubt there is none.
    """
    trailing = TRAILING.search(text)
    body = text[: trailing.start()] if trailing else text
    tail = text[len(body) :]
    if (
        ADDRESS.search(body)
        or (tail.strip() and not _is_own_line(tail))
        or not CLOSED.search(body)
        or ENDED.search(body)
    ):
        return text
    lines = [line for line in body.split("\n") if line.strip()]
    if any(LISTED.search(line) for line in lines) or not all(ENDED.search(line.rstrip()) for line in lines[:-1]):
        return text
    parts = sentences(lines[-1], hasty=True)
    last = parts[-1][0]
    words = WORD.findall(IS_HELD.sub(" ", last))
    called = language == "en" and CALLED.search(last)
    asked = last[_address(last) :] if language == "es" else last
    if called or (ASKED[language].search(asked) and not GOES_ON.search(asked)):
        return f"{body}?{tail}"
    whole = len(words) >= SURELY_WHOLE or (len(words) >= MIN_WORDS and says_something(last, language))
    closes = len(parts) > 1 and (len(words) > 1 or last.casefold() in CLOSES)
    doubtful = UNSURE[language].search(last) or ASKING[language].search(last) or is_shortened(f"{body}.", "")
    return text if doubtful or not (whole or closes) else f"{body}.{tail}"


def _address(sentence: str) -> int:
    """Return where a question begins behind those whom it is put to; 0 where it begins at once."""
    found = ADDRESSED_ES.match(sentence)
    if found is None or ASKED["es"].search(sentence):
        return 0
    return found.end() if ASKED["es"].search(sentence[found.end() :]) else 0


def opened(text: str) -> str:
    """Set the opening marks that a masked Spanish text lacks, and the accent of the question word behind them.

    Only where the whole sentence is the question or the exclamation: one clause, or one that a question word opens.
    """
    mended = []
    for part, gap in sentences(text, hasty=True):
        answered = ANSWERED_ES.match(part)
        sentence = part
        if answered and ASKED["es"].search(answered[1]):
            mended.append(_opened(f"{answered[1]}?", "?") + " ")
            sentence = part[answered.end() :]
        mark = regex.search(rf"([?!])(?:\s?{PICTURE})*$", sentence)
        if mark and not set("¿¡") & set(sentence):
            sentence = _opened(sentence, mark[1])
        elif sentence.startswith("¿"):
            sentence = _accented(sentence)
        mended.append(sentence + gap)
    return "".join(mended)


def _opened(sentence: str, mark: str) -> str:
    body = regex.sub(rf"[?!]+(?:\s?{PICTURE})*$", "", sentence)
    letter = regex.match(rf"(?:{HELD}|\s)*", body)
    start = letter.end() if letter else 0
    spoken = body[start:]
    if not spoken[:1].isalpha() or set("?!") & set(spoken):
        return sentence
    accented = _accented(FORGOTTEN_ES.sub(r"\1ué", spoken) if mark == "?" else spoken)
    place = _inner(spoken) if mark == "?" else 0
    if place:
        before = regex.sub(r"(?<=\p{L}) $", ", ", spoken[:place])
        asked = _accented(FORGOTTEN_ES.sub(r"\1ué", spoken[place:]))
        return sentence[:start] + before + "¿" + asked + sentence[len(body) :]
    whole = ASKS_ES.search(accented) or (ASKED["es"].search(spoken) and not GOES_ON.search(spoken))
    if mark == "?" and not whole and WITHIN_ES.search(spoken):
        return sentence
    if mark == "?" and (whole or not BORDER_ES.search(spoken)):
        return sentence[:start] + "¿" + accented + sentence[len(body) :]
    return sentence[:start] + _exclaimed(spoken) + sentence[start + len(spoken) :] if mark == "!" else sentence


def _exclaimed(spoken: str) -> str:
    """Return an exclamation with its opening mark: before all of it, or before the clause that ends it."""
    borders = set(BORDER_ES.findall(spoken))
    if len(WORD.findall(spoken)) <= (MAX_EXCLAIMED if not borders else MAX_CALLED if borders == {","} else 0):
        return "¡" + spoken
    # "Fue increíble, ¡gracias por venir!"
    before, comma, last = spoken.rpartition(", ")
    called = comma and len(WORD.findall(last)) <= MAX_CALLED and not BORDER_ES.search(last)
    return f"{before}, ¡{last}" if called else spoken


def _inner(spoken: str) -> int:
    """Return where the question begins that is not the whole sentence; 0 where it is, or where that is in doubt."""
    if place := _address(spoken):
        return place
    called = ADDRESSED_ES.match(spoken)
    if called and ASKS_ES.search(_accented(FORGOTTEN_ES.sub(r"\1ué", spoken[called.end() :]))):
        return called.end()
    found = INNER_ES.match(spoken)
    asks = ASKS_ES.search(_accented(spoken)) or ASKED["es"].search(spoken)
    return found.end() if found and not asks else 0


def _accented(question: str) -> str:
    """Return a question with the accent of the question word that opens it; in doubt without."""
    question = QUESTION_WORDS[0][0].sub(QUESTION_WORDS[0][1], question)
    question = QUESTION_WORDS[1][0].sub(QUESTION_WORDS[1][1], question)
    question = QUESTION_WORDS[2][0].sub(QUESTION_WORDS[2][1], question)
    found = PLAIN_QUESTION.search(question)
    doubtful = found and (
        NO_QUESTION.search(question) or (found[2].lower() in {"cuando", "como", "donde"} and "," in question)
    )
    if found is None or doubtful:
        return question
    word = ACCENT[found[2].lower()]
    word = word[0].upper() + word[1:] if found[2][0].isupper() else word
    return question[: found.start(2)] + word + question[found.end(2) :]


def _is_own_line(tail: str) -> bool:
    """Whether the links, tags and emoji that close a text stand on a line of their own."""
    return "\n" in tail[: len(tail) - len(tail.lstrip())]
