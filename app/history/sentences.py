"""Where sentences end, closely enough to cut a text there."""

from __future__ import annotations

import re
from collections.abc import Iterator

# A full stop after these ends no sentence, in the languages people are likely to mix.
_ABBREVIATED = """
    mr mrs ms dr prof st sr jr messrs mme mlle rev hon capt col gen lt sgt gov pres supt esq vs viz
    cf ca approx no nos vol vols fig figs ch sec p pp ed eds op cit al e.g i.e n.b a.m p.m ps p.s
    jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri sat sun z.b
    d.h u.a v.a s.o bzw vgl nr hr fr hrn bd etw evtl ggf sog str abs art av av.j.-c p.ex c.-à-d etc
    ecc sig sra srta ud uds núm pág
"""
_ABBREVIATIONS = frozenset(_ABBREVIATED.split())
_END = re.compile(
    r"""
    (?<=[.!?…])(?P<close>["'”’»›)\]*_]*)(?P<space>\s+)(?=["'“‘„«‹(\[*_¿¡–—-]*[^\W\d_a-zß-öø-ÿ]|["'“‘„«‹(\[]*\d)
    | (?P<wide>(?<=[。！？])[」』）”]*\s*(?=\S))
    | (?P<line>(?<!\s)\s*\n\s*)  # looking back: not from each blank of a long run
    """,
    re.VERBOSE,
)
_LAST_WORD = re.compile(r"([^\s(\[\"'“‘„«]*)\.$")


def sentence_ends(text: str) -> Iterator[tuple[int, int]]:
    """Where one sentence of the paragraph ``text`` ends and where the next one begins; a line break inside
    it counts as an end."""
    for match in _END.finditer(text):
        if match["line"] is None and match["wide"] is None:
            before = text[max(0, match.start() - 20) : match.start()]
            last = _LAST_WORD.search(before)
            if last is not None and not match["close"] and _is_abbreviation(last[1]):
                continue
        end = match.end() - len(match["space"]) if match["space"] else match.start()
        if match["wide"] is not None:
            end = match.start() + len(match["wide"].rstrip())
        if end > 0 and match.end() < len(text):
            yield end, match.end()


def _is_abbreviation(word: str) -> bool:
    """Whether ``word``, met before a full stop, is short for something or somebody's initial."""
    initial = len(word) == 1 and word.isalpha() and word.isupper() and word != "I"
    lettered = re.fullmatch(r"(?:[^\W\d_]\.)+[^\W\d_]", word) is not None
    return initial or lettered or word.lower() in _ABBREVIATIONS
