"""What in a text is private: addresses, numbers of phones, cards, accounts and people, by form and check digits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal, NamedTuple

import regex
from phonenumbers import Leniency, PhoneNumberMatcher

Kind = Literal["private_email", "private_phone", "private_card", "private_account", "private_id"]
# Whose national notation is read beside the international one, by the language of the text.
REGIONS: Final = {"en": ("US", "GB"), "es": ("ES", "MX", "AR", "CO")}
MIN_PHONE_DIGITS: Final = 7
DNI_LETTERS: Final = "TRWAGMYFPDXBNJZSQVHLCKE"


class Private(NamedTuple):
    """A span of the text that is private."""

    kind: Kind
    start: int
    end: int


def private_spans(text: str, language: str) -> tuple[Private, ...]:
    """Return what is private in an NFC text, by place; spans do not overlap, the surer one stays.

    Cards pass Luhn's check (ISO/IEC 7812-1), accounts are IBANs with their check digits (ISO 13616), numbers of people
    Spanish DNI and NIE with their letter and US social security numbers as they are issued; phone numbers are valid
    ones of their country's plan.
    """
    found: list[Private] = []
    for kind, start, end in _candidates(text, language):
        if not any(start < other.end and other.start < end for other in found):
            found.append(Private(kind, start, end))
    return tuple(sorted(found, key=lambda span: span.start))


def _candidates(text: str, language: str) -> Iterator[Private]:
    """Yield what may be private, the surest first."""
    if "@" in text:
        yield from (Private("private_email", *match.span()) for match in EMAIL.finditer(text))
    if len(DIGIT.findall(text)) < MIN_PHONE_DIGITS:
        return
    for kind, pattern, passes in NUMBERS:
        yield from (Private(kind, *match.span()) for match in pattern.finditer(text) if passes(_bare(match[0])))
    for region in REGIONS["es" if language == "es" else "en"]:
        for phone in PhoneNumberMatcher(text, region, leniency=Leniency.VALID):
            yield Private("private_phone", phone.start, phone.end)


def _bare(text: str) -> str:
    return SEPARATOR.sub("", text).upper()


def _passes_luhn(digits: str) -> bool:
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return len(set(digits)) > 1 and sum(number - 9 * (number > 9) for number in doubled) % 10 == 0


def _passes_mod_97(account: str) -> bool:
    return int("".join(str(int(sign, 36)) for sign in account[4:] + account[:4])) % 97 == 1


def _has_letter(number: str) -> bool:
    """Tell whether the letter of a DNI or NIE is that of its number."""
    return DNI_LETTERS[int(number[:-1].translate(NIE)) % len(DNI_LETTERS)] == number[-1]


DIGIT: Final = regex.compile(r"[0-9]")
SEPARATOR: Final = regex.compile(r"[ .\-]")
EMAIL: Final = regex.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\p{L}\d-]{1,63}\.)+\p{L}{2,24}(?![\w-])")
CARD: Final = regex.compile(r"(?<![\d.,-])(?:\d[ -]?){12,18}\d(?![\d.,]?\d)")
ACCOUNT: Final = regex.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z\d]{4}){2,7}(?: ?[A-Z\d]{1,3})?\b")
DNI: Final = regex.compile(
    r"(?<![\w.])(?:[XYZ][ -]?\d{7}|\d{2}\.?\d{3}\.?\d{3})[ -]?[A-HJ-NP-TV-Z](?!\w)", regex.IGNORECASE
)
NIE: Final = str.maketrans("XYZ", "012")
SOCIAL_SECURITY: Final = regex.compile(r"(?<![\d-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])")
NUMBERS: Final[tuple[tuple[Kind, regex.Pattern[str], Callable[[str], bool]], ...]] = (
    ("private_account", ACCOUNT, _passes_mod_97),
    ("private_card", CARD, _passes_luhn),
    ("private_id", DNI, _has_letter),
    ("private_id", SOCIAL_SECURITY, bool),
)
