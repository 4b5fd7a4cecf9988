"""What is prose and what is something else that stands between it: tables, code, links, rules, headings."""

from __future__ import annotations

import re

_FENCED = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_QUOTED = re.compile(r"^[ \t]*>.*$", re.MULTILINE)
_MARKED_HEADING = re.compile(r"[ \t]*#{1,6}[ \t]\S.*")
_URL = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_CODE_SIGN = re.compile(r"[{}<>=|\\#$^&*+~_;()\[\]/@]")
_WORD = re.compile(r"[^\W\d_]{2,}|[^\W\d_](?=[\s'’.,])")
_LONGEST_HEADING_WORDS = 12

# Shares that prose of many languages keeps far from, and tables, code and lists of links do not.
_FEWEST_LETTERS = 0.65
_FEWEST_WORDS = 0.5
_MOST_CODE_SIGNS = 0.12


def without_fences(text: str) -> str:
    """``text`` without blocks fenced as code."""
    return _FENCED.sub("\n\n", text) if "```" in text or "~~~" in text else text


def without_quotations(text: str) -> str:
    """``text`` without lines marked with > as somebody else's words, as mail and Markdown do."""
    return _QUOTED.sub("", text) if ">" in text else text


def is_prose(paragraph: str) -> bool:
    """Whether a paragraph is made of sentences, or of parts of a letter, rather than of numbers, signs,
    addresses of web pages, code, or a heading, marked with # or in capitals."""
    if _MARKED_HEADING.fullmatch(paragraph.strip()):
        return False
    words_only = _URL.sub(" ", paragraph)
    signs = "".join(words_only.split())
    if not signs:
        return False
    tokens = words_only.split()
    letters = sum(sign.isalpha() for sign in signs)
    if letters < _FEWEST_LETTERS * len(signs):
        return False
    if sum(_WORD.search(f"{token} ") is not None for token in tokens) < _FEWEST_WORDS * len(tokens):
        return False
    if len(_CODE_SIGN.findall(signs)) > _MOST_CODE_SIGNS * len(signs):
        return False
    is_heading = len(tokens) <= _LONGEST_HEADING_WORDS and words_only.isupper() and letters > 3
    return not is_heading
