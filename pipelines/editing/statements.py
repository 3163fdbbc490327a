"""Whether a text says something already, as against a topic, a row of keywords, a fragment, a request to the tool."""

from __future__ import annotations

from functools import lru_cache

import regex

from pipelines.editing import spelling
from pipelines.editing.masks import IS_HELD, mask
from pipelines.editing.requests import is_order
from pipelines.records import Language
from pipelines.text.sentences import sentences

MIN_WORDS = 3
# So many sentences of a text must say something.
WHOLE_SHARE = 0.5
# A row of notes has a comma every so many words.
ROW_WORDS = 3.2
WORD = regex.compile(r"[\p{L}\p{M}]+(?:['\u2019]\p{L}+)*")
PART = regex.compile(r"[,;|/\u00b7\u2022+\n]| - ")
# A question in any case: an auxiliary and its subject, or a question word, an auxiliary and its subject.
ASKED = {
    "en": regex.compile(
        r"^(?:(?:and|but|so|or|ok|hi|hello|hey) )?(?:"
        r"(?:does|do|did|can|could|would|will|is|are|has|have|should|was|were|am|isn't|aren't|don't|doesn't|can't) "
        r"(?:anyone|anybody|someone|somebody|you|we|i|they|it|there|he|she|your|this|that|these|those|any of|"
        r"either of)\b|"
        r"(?:what|where|when|why|who|how|which \p{L}+|how (?:much|many|long|often|old|far|big)(?: \p{L}+)?) "
        r"(?:is|are|do|does|did|can|should|would|will|has|have|was|were|'s) "
        r"(?:the|your|you|we|i|they|it|this|that|he|she|there|everyone|people|my|our|a|an)\b|"
        r"(?:what|where|when|why|how|who) (?:does|do|did|should|would|could|can) \p{L}|"
        r"why (?:is|are|was|were|has|have|will|can't|don't|doesn't|didn't|isn't|aren't|won't) \p{L}|should (?!you\b|"
        r"anyone\b)\p{L}+ \p{L}|"
        r"(?:what|where|who|how)['\u2019]s (?:the|your|a|an)\b|"
        r"(?:who|what) else \p{L}+|who wants\b|anyone (?:else|know|want|up for|interested|going|got)\b|any "
        r"(?:ideas|tips)\b)",
        regex.IGNORECASE,
    ),
    "es": regex.compile(
        r"^(?!.* (?:no (?:lo )?(?:s[eé]|import\p{L}+|interesa)\b|da igual\b|es (?:asunto|cosa|problema|lo de menos)\b))"
        r"(?:(?:y|pero|entonces) )?(?:"
        # Somebody, anybody
        r"alguien (?:(?:m[aá]s|aqu[ií]|ac[aá]|(?:por|de) aqu[ií]|de ustedes) )?(?:sabe|conoce|(?:me |nos )?recomienda|"
        r"(?:me|nos) (?:puede|podr[ií]a|ayuda|presta)|puede (?:decirme|(?:ayudar|explicar|recomendar)\p{L}*)|"
        r"alquila|vende|arregla|se apunta|se anima|ha (?:visto|probado|usado|ido)|tiene(?! (?:que|la culpa)\b))\b"
        r"(?!.* y (?:no|me|se|lo|la|le|nos)\b)|"
        r"hay (?:alguien|alg[uú]n\p{L}*)\b[^,.;:]{0,40}? que (?:sepa|conozca|tenga|pueda|quiera|venda|haga|arregle|"
        r"entienda|use|viva|abra|acepte|enseñe|trabaje)n?\b|"
        # You
        r"(?:saben|sabes|sabés|sab[eé]is|conocen|conoces|conocés|conoc[eé]is) (?:si|de (?:alg\p{L}+|un|una)|dónde|"
        r"donde (?:puedo|hay|se|venden|est\p{L}+)|cuánto|cuándo|alg[uú]n|alguna|a alguien)\b|"
        r"vos (?:sabés|sabes|tenés|conocés|conoces) (?:si|un|una|alg\p{L}+|dónde|cómo|cuándo)\b|"
        r"(?:prefieren|prefieres|prefer[ií]s) (?!que\b|no\b)[^,.;:]+ o (?!eso\b|al menos\b)\p{L}|"
        r"(?:ustedes|vosotr[oa]s|vos|t[uú]) (?:c[oó]mo (?:(?:le|lo|la|se) )?(?:ha[cg]|hic|logr|manej|organ|cuid|"
        r"limpi|quit|cocin|prepar|llev)|cu[aá]l|qué|"
        r"que (?:opin|pens|piens|prefer|prefier|recom|har[ií]|hac[eé]))\p{L}*\b|"
        r"alguna vez (?:(?:les|te|os) (?:ha |han )?(?:pas|ocurr|suced)|(?:se |te |os )?(?:han|has|habéis) )\p{L}+|"
        r"me recomiendan alg[uú]n|cachai (?:si|que)\b|"
        # A question word and a verb that asks
        r"qu[eé] (?:opin(?:an|as|ás|áis)|prefier(?:en|es)|preferís|har(?:ían|ías|íais)|(?:me |nos )?recomiendan|"
        r"recomend(?:áis|ás)|(?:os|te) parece|(?:piensan|piensas|pensáis) de|(?:hacen|hacéis) con)\b|"
        r"qu[eé] (?:libro|película|serie|canción|disco|app|herramienta|programa|receta|marca|consejo|frase|profesora?|"
        r"profe|plato|postre)s? (?:les?|os|te|(?:me |nos )?(?:recomiend[ae][ns]|recomend(?:áis|ás))|prefier(?:en|es)|"
        r"us(?:an|as|áis)|est(?:án|ás|áis)|leen|escuch(?:an|as))\b|"
        r"cu[aá]l (?:es|fue|ha sido|sería|era) (?:el|la|lo|su|tu|vuestr[oa])\b|quién se (?:apunta|anima|suma|viene)\b|"
        r"c[oó]mo (?:(?:le )?hac(?:en|es|és|éis)|hic(?:iste|ieron)|se organizan|os organizáis|te organizas) "
        r"(?:para|cuando)\b|"
        r"a qu[eé] hora \p{L}+|por qu[eé] ser[aá] que\b|"
        r"c[oó]mo (?:puede ser|es posible) que\b|dónde (?:puedo|podemos|se puede|hay|está|están|encuentro)\b|"
        r"cuánto (?:tarda|cuesta|vale|dura|mide|pesa)n?\b|cuándo (?:abren?|cierran?|empieza|sale|llega|vuelven?)\b|"
        r"qué (?:hac(?:éis|es|és)|(?:vais|vas) a hacer|planes (?:tenéis|tienen|tienes)) "
        r"(?:hoy|mañana|es[ta]e|el|en|para)\b|"
        r"quién (?:me |nos )?(?:puede|conoce|tiene|recomienda|vende)\b|"
        r"d[oó]nde (?:(?:puedo|podemos|se puede) \p{L}+r|consigo|encuentro)\b)",
        regex.IGNORECASE,
    ),
}
MIN_FUNCTION_SHARE = 0.25
JOINED_SHARE = 0.3
LONG_ROW = 7
CONTACT = {
    "en": regex.compile(
        r"^(?:\d+ |the |a |an |my |our |some |all )?(?:\p{L}+ ){1,4}?(?:that|who|which|whose|where|nobody|no one|"
        r"i|we|you|they|he|she)\b",
        regex.IGNORECASE,
    ),
    "es": regex.compile(
        r"^(?:\d+ |el |la |los |las |un |una )?(?:\p{L}+ ){1,3}?(?:que|donde|quien|nadie)\b", regex.IGNORECASE
    ),
}
SUBJECT = regex.compile(
    r"(?:^|[,;:.] |\b(?:and|but|so|because|that|if|when) )(?:i|we|you|they|he|she|it) "
    r"(?:(?:now|just|also|still|even|never|always|only|really|\p{L}+ly) )?(?!(?:and|or|in|on|at|of|the|a|all|"
    r"both|guys)\b)\p{L}{2,}",
    regex.IGNORECASE,
)
PAST = regex.compile(
    r"^(?:our|the|my|we|i|this|an?|his|her|their) (?:\p{L}+ ){1,5}?\p{L}{2,}ed (?:with|in|on|at|to|the|an?|our|"
    r"my|from|it|us|me|them|"
    r"into|down|up|less|more|for|as|his|her|its|their|today|yesterday)\b",
    regex.IGNORECASE,
)
SPANISH_FINITE = regex.compile(
    r"\p{L}{2,}(?:ó|aron|ieron|ábamos|íamos|aban?|ará|erá|irá|arán|erán|irán|aré|eré|iré|aremos|eremos|iremos)|"
    r"\p{L}{2,}[aei]rían|"
    r"(?!café|bebé|chalé|consomé|paté|puré|comité|carné|clisé|bufé)\p{L}{3,}é|"
    r"(?!(?:ramos|tramos|gramos|extremos|mínimos|últimos|máximos|próximos|ánimos|íntimos|racimos|primos|supremos|"
    r"reclamos|"
    r"bálsamos|préstamos|kilogramos|programos|tramos)$)\p{L}{2,}(?:amos|emos|imos)|\p{L}{3,}(?:áis|éis)"
)
SUBJECTS = frozenset(
    {"i", "we", "you", "they", "he", "she", "it", "this", "that", "there", "nobody", "everyone", "everybody"}
)
LINKS = {
    "en": frozenset({"that", "who", "which", "whose", "where", "nobody", "i", "we", "you", "they", "he", "she"}),
    "es": frozenset({"que", "quien", "donde", "nadie", "quienes"}),
}
CONDITIONS = frozenset({"if", "si", "cuando"})
CUT_OFF = regex.compile(r"\b(?:and|or|but|because|the|y|o|pero|porque|el|la)[.…]*$", regex.IGNORECASE)


def is_statement(text: str, language: Language) -> bool:
    """Whether a text can be posted as it is: whole sentences, a question, a notice, an opinion."""
    masked = mask(" ".join(text.split()))
    spoken = IS_HELD.sub(" ", masked.text).strip()
    if is_order(spoken, language):
        return False
    parts = [sentence for sentence, _ in sentences(masked.text, hasty=True) if WORD.search(IS_HELD.sub("", sentence))]
    whole = [part for part in parts if says_something(part, language)]
    # A sentence that is whole carries the words beside it: "Burst pipe? Call us." "No excuses."
    words = len(WORD.findall(spoken))
    held = sum(len(WORD.findall(part)) for part in whole)
    return words >= MIN_WORDS and bool(whole) and held >= WHOLE_SHARE * words


def says_something(sentence: str, language: Language) -> bool:
    """Whether a sentence has a verb that carries it: a finite one, an order, a question, the short form of a notice."""
    bare = " ".join(IS_HELD.sub(" ", sentence).split())
    words = [word.replace("\u2019", "'").casefold() for word in WORD.findall(bare)]
    if bare.endswith("?") or ASKED[language].search(bare):
        return len(words) >= MIN_WORDS
    if not words or _is_row(bare, words):
        return False
    lists = _verbs(language)
    if words[0] in lists["orders"] or words[0] in lists["polite"]:
        return len(words) >= MIN_WORDS
    if _is_telegram(words, language):
        return False
    if words[0] in lists["headings"]:
        # "How we cut our costs" heads something; with a clause after a comma or a colon it says it.
        return any(says_something(clause, language) for clause in regex.split(r"[,:;]\s+", bare)[1:])
    said = _has_main_verb(bare, words, language) or NOTICE[language].search(bare) is not None
    return said or (language == "es" and _is_joined(bare, words))


def _has_main_verb(bare: str, words: list[str], language: Language) -> bool:
    finite = {place for place, word in enumerate(words) if _is_finite(word, language)}
    if CUT_OFF.search(bare) or (words[0] in CONDITIONS and "," not in bare and len(finite) < 2):
        return False
    if finite and not _hangs(words, finite, bare, language):
        return True
    told = SUBJECT.search(bare) or PAST.search(bare)
    return language == "en" and told is not None and CONTACT[language].search(bare) is None


NOTICE = {
    "en": regex.compile(
        r"^(?:thank(?:s| you)|congratulations|happy (?:birthday|new year)|sorry|welcome) \p{L}+|"
        r"\b(?:cancelled|canceled|postponed|closed|shut|sold out|delayed|back (?:up|open|online)|out now|"
        r"open)\b(?!-)(?= (?:to|for|on|from|until|till|"
        r"today|tomorrow|this|next|due|because|by|at|since|as|now|every|daily|all|tonight|again|and|monday|"
        r"tuesday|wednesday|thursday|friday|"
        r"saturday|sunday)\b|[.!]|$)(?=.)|"
        r"^(?:no|new|first|last|finally|back|lost|found|proud|glad|excited|happy|sad) \p{L}+ .*\b(?:today|"
        r"tomorrow|tonight|yesterday|now|back)\b",
        regex.IGNORECASE,
    ),
    "es": regex.compile(
        r"^(?:gracias|felicidades|enhorabuena|feliz|perdón|bienvenid[oa]s?) \p{L}+|"
        r"\b(?:cancelad|aplazad|suspendid|cerrad|agotad|abiert|prohibid)[oa]s?\b(?= (?:a|al|por|el|hasta|hoy|"
        r"mañana|desde|en|los|las|todo)\b|[.!]|$)|"
        r"^prohibido \p{L}+",
        regex.IGNORECASE,
    ),
}


def _is_row(bare: str, words: list[str]) -> bool:
    """Whether short notes stand in a row: `tattoo flash day, fri 13 june, 11am til 8pm, 60 to 120 quid`."""
    parts = [part for part in PART.split(bare) if part.strip()]
    return len(parts) >= 4 and len(words) / len(parts) < ROW_WORDS


def _is_telegram(words: list[str], language: Language) -> bool:
    """Whether hardly a word only joins others: `lost cat tabby white paw elm grove shy dont chase`."""
    joining = _verbs(language)["function"]
    if words[0] in joining or len(words) < LONG_ROW:
        return False
    return sum(word in joining for word in words) < MIN_FUNCTION_SHARE * len(words)


def _is_joined(bare: str, words: list[str]) -> bool:
    """Whether Spanish words are enough and joined as in a sentence: no list has every verb."""
    joining = sum(word in _verbs("es")["function"] for word in words) >= JOINED_SHARE * len(words)
    return len(words) >= LONG_ROW and joining and CONTACT["es"].search(bare) is None


def _is_finite(word: str, language: Language) -> bool:
    if word in _verbs(language)["finite"]:
        return True
    if language == "en":
        return False
    word = spelling.accents().get(word, word)
    return word in _verbs(language)["finite"] or SPANISH_FINITE.fullmatch(word) is not None


def _hangs(words: list[str], finite: set[int], bare: str, language: Language) -> bool:
    """Whether every verb stands in a clause that hangs on a noun: `compost that smells`, `the day we told him`."""
    opening = CONTACT[language].search(bare)
    if opening is None or words[0] in SUBJECTS:
        return False
    before = len(WORD.findall(opening[0]))
    if min(finite) < before - 1:
        return False
    hanging = [place for place in finite if LINKS[language] & set(words[max(1, place - 3) : place])]
    return len(hanging) == len(finite)


@lru_cache(maxsize=2)
def _verbs(language: Language) -> dict[str, frozenset[str]]:
    lists = spelling.load(language)["verbs"]
    return {kind: frozenset(words) for kind, words in lists.items()}
