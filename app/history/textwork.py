"""Small work on text that several parts of the history need."""

from __future__ import annotations

import hashlib
import re

# Scripts that put no spaces between words: kana, ideographs, Thai, Lao, Khmer. Two signs make about one word.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")

# Line ends of other systems and printers, and signs nobody sees: of control, of order, of where a word may break.
_LINE_END = re.compile("\r\n|[\r\v\f\x85\u2028]")
_UNSEEN = re.compile("[\x00-\x08\x0e-\x1f\x7f\u00ad\u200b\ufeff]")


def tidy(text: str) -> str:
    """``text`` with plain line ends, without unseen signs and blanks at the ends of lines, from the first line
    that is not empty to the last."""
    text = _LINE_END.sub("\n", text.replace("\u2029", "\n\n"))
    return "\n".join(line.rstrip() for line in _UNSEEN.sub("", text).split("\n")).strip("\n")


def count_words(text: str) -> int:
    """How many words ``text`` has; where a script has no spaces, about how many."""
    words = text.split()
    if text.isascii() or not _UNSPACED.search(text):
        return len(words)
    return sum(max(1, len(_UNSPACED.findall(word)) // 2) for word in words)


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
