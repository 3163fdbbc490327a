"""What is never said of an audience: X's rules forbid to infer it of anybody who reads or answers a post.

Health, faith, politics, origin, sexual life and orientation, unions, debts, crimes, in English and Spanish:
https://docs.x.com/developer-terms/restricted-use-cases. The table refuses the same words: migration 0010.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Of folded words between spaces, as both Python and Postgres read it.
SENSITIVE: Final = (
    " (health|healthcare|salud|illness|illnesses|disease|diseases|diagnos[a-z]*|medical|medication|medicacion"
    "|enferm[a-z]*|disab(led|ilit[a-z]*)|discapaci[a-z]*|pregnan[a-z]*|embaraz[a-z]*|diabet[a-z]*|cancer|hiv|vih|sida"
    "|autis[a-z]*|depressi[a-z]*|depresi[a-z]*|anxiety|ansiedad|epilep[a-z]*|anorexi[a-z]*|bulimi[a-z]*|dementia"
    "|demencia|schizophren[a-z]*|esquizofren[a-z]*|bipolar|obes[a-z]*|overweight|sobrepeso|adhd|tdah|infertil[a-z]*"
    "|alcoholi[a-z]*|addict[a-z]*|adicci[a-z]*|symptom[a-z]*|sintoma[a-z]*"
    "|religi[a-z]*|faith|faiths|beliefs?|creencias?|muslims?|musulman[a-z]*|islam[a-z]*|christian[a-z]*|cristian[a-z]*"
    "|catholic[a-z]*|catolic[a-z]*|protestant[a-z]*|evangelic[a-z]*|jews?|jewish|judi[oa]s?|judais[a-z]*|hindu[a-z]*"
    "|buddhis[a-z]*|budis[a-z]*|mormon[a-z]*|atheis[a-z]*|ateo|atea|ateos|sikhs?|agnostic[a-z]*"
    "|politic[a-z]*|partisan[a-z]*|ideolog[a-z]*|republican[a-z]*|democrats?|democratas?|conservatives?"
    "|conservador[a-z]*|socialis[a-z]*|communis[a-z]*|comunis[a-z]*|leftists?|izquierdistas?|derechistas?|voters?"
    "|votantes?|trade unions?|unionis[a-z]*|sindica[a-z]*"
    "|ethnic[a-z]*|etni[a-z]*|race|races|racial|raza|razas|castes?|indigenous|indigenas?|latin[oax]s?|hispanic[a-z]*"
    "|hispano[a-z]*|gitan[oa]s?|immigra[a-z]*|migrants?|inmigra[a-z]*|nationalit[a-z]*|nacionalidad[a-z]*"
    "|sex|sexo|sexual[a-z]*|orientation|orientacion|gays?|lesbian[a-z]*|bisexual[a-z]*|homosexual[a-z]*"
    "|heterosexual[a-z]*|lgbt[a-z]*|transgender[a-z]*|transexual[a-z]*|queer"
    "|bankrupt[a-z]*|bancarrota|insolven[a-z]*|debts?|deudas?|crimin[a-z]*|convict[a-z]*|delitos?|delincuen[a-z]*) "
)
_PATTERN: Final = re.compile(SENSITIVE)
_HUMP: Final = re.compile(r"([a-z])([A-Z])")
_ACCENT: Final = re.compile(r"[\u0300-\u036f]")
_NO_WORD: Final = re.compile(r"[^a-z0-9]+")


def is_sensitive(text: str) -> bool:
    """Tell whether a word, phrase or key (`sexual_orientation`, `politicalView`) names what is never inferred."""
    split = _HUMP.sub(r"\1 \2", _ACCENT.sub("", unicodedata.normalize("NFKD", text))).lower()
    return _PATTERN.search(f" {_NO_WORD.sub(' ', split)} ") is not None
