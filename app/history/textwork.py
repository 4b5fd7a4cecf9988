"""Small work on text that several parts of the history need."""

from __future__ import annotations

import hashlib


def storable(text: str) -> str:
    """``text`` as UTF-8 can hold it: halves of characters, which windows and file names bring, are mended
    or replaced."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def one_line(text: str, longest: int) -> str:
    """``text`` on one line of at most ``longest`` characters, cut between words where that is possible."""
    text = " ".join(text.split())
    if len(text) <= longest:
        return text
    start = text[: longest - 1]
    at_word = start.rsplit(" ", 1)[0] if " " in start[longest // 2 :] else start
    return f"{at_word.rstrip(' ,;:.-–—')}…"


def sha256_of(text: str) -> str:
    """The SHA-256 of ``text`` in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
