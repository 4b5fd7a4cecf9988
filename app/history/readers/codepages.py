"""Which code page a text of the Latin alphabet was written with, before Unicode.

A code page gives itself away by the letters it makes of the bytes beyond ASCII: with the right one they are all
letters of one language. General detectors go by how common the signs are and take French for Lithuanian.
"""

from __future__ import annotations

import re
from collections import Counter

_WEST = (
    "àâæçéèêëîïôœùûüÿ",  # French
    "äöüß",
    "áéíóúüñ¿¡ªº",  # Spanish
    "àáâãçéêíóôõú",  # Portuguese
    "àèéìíîòóùú",  # Italian
    "àçèéíïòóúü",  # Catalan
    "áéëèïíöóüú",  # Dutch
    "åäöéü",  # Swedish, Finnish
    "æøåéôòó",  # Danish, Norwegian
    "áðéíóúýþæö",  # Icelandic
)
_CENTRAL = (
    "ąćęłńóśźż",  # Polish
    "áčďéěíňóřšťúůýžľĺŕôä",  # Czech, Slovak
    "áéíóöőúüű",  # Hungarian
    "ăâîşţ",  # Romanian
    "čćđšž",  # Croatian, Slovenian
)
_TURKISH = ("çğıöşüâîû",)
_BALTIC = ("ąčęėįšųūž", "āčēģīķļņšūž", "äõöüšž")

# The likeliest first: it is taken where several do equally well.
_PAGES = (
    ("cp1252", _WEST),
    ("cp1250", _CENTRAL),
    ("cp1254", _TURKISH),
    ("cp1257", _BALTIC),
    ("iso8859_2", _CENTRAL),
    ("mac_roman", _WEST),
    ("cp850", _WEST),
)
_MARKS = frozenset("“”„‚‘’‹›«»–—…•·°§€£©®™¼½¾²³\xa0")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
# The share of signs that one language must explain: names and words of others stand in between.
_EXPLAINED = 0.8


def latin_page(data: bytes) -> str | None:
    """The code page of ``data``; None where it is no text of a language known here."""
    best, page = _EXPLAINED, None
    for name, languages in _PAGES:
        share = _share(data.decode(name, "replace"), languages)
        if share > best or (page is None and share == best):
            best, page = share, name
    return page


def _share(text: str, languages: tuple[str, ...]) -> float:
    """The share of the signs beyond ASCII that the language which fits best has in such places."""
    marks, letters, signs = 0, Counter[str](), 0
    for found in _BEYOND_ASCII.finditer(text):
        sign, before, after = (
            found[0],
            text[found.start() - 1 : found.start()],
            text[found.end() : found.end() + 1],
        )
        signs += 1
        if sign in _MARKS:
            # Only the apostrophe stands inside a word.
            marks += sign == "’" or not (before.isalpha() and after.isalpha())
        elif not (sign.isupper() and before.islower()):
            letters[sign.lower()] += 1
    if not signs:
        return 0.0
    return (marks + max(sum(letters[letter] for letter in language) for language in languages)) / signs
