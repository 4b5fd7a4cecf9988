"""From bytes to text, whatever encoding an editor once saved it in."""

from __future__ import annotations

import codecs
import re

from app.history.readers.codepages import latin_page
from app.history.readers.common import ReadError

# UTF-32 first: its mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# What no editor writes into a text; ESC belongs to the Japanese encoding of old mail.
_NO_TEXT = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f\ufffd\ufffe\uffff]")
_MOST_NO_TEXT, _A_FEW = 0.01, 2
_GUESSED_FROM_BYTES = 256 * 1024


def decode(data: bytes) -> str:
    """The text in ``data``. Raises ReadError where it is no text.

    Signs that its encoding has no meaning for come out as U+FFFD.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _checked(data[len(mark) :].decode(encoding, "replace"))
    if (unmarked := _utf_16_without_mark(data)) is not None:
        return _checked(data.decode(unmarked, "replace"))
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return _old(data)
    return _checked(text) if "\x1b" not in text else _old(data)


def _utf_16_without_mark(data: bytes) -> str | None:
    """UTF-16 gives itself away: every other byte of most signs, or at least of spaces and full stops, is zero."""
    even, odd = data[::2].count(0), data[1::2].count(0)
    more, fewer = max(even, odd), min(even, odd)
    if not more or more < len(data) / 40 or more < 20 * fewer:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _old(data: bytes) -> str:
    """Text from before UTF-8, or UTF-8 with a piece of such text in it."""
    _checked(data.decode("latin-1"))  # spares what is no text the guessing
    lines = data.splitlines(keepends=True)
    read = [_as_utf_8(line) for line in lines]
    if any(text is not None and not text.isascii() for text in read):
        mixed = (_western(line) if text is None else text for line, text in zip(lines, read, strict=True))
        return _checked("".join(mixed))
    return _checked(data.decode(_guessed(data), "replace"))


def _as_utf_8(line: bytes) -> str | None:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return None


def _western(line: bytes) -> str:
    return line.decode("cp1252", "replace")


def _guessed(data: bytes) -> str:
    sample = data[:_GUESSED_FROM_BYTES]
    if (page := latin_page(sample)) is not None:
        return page
    # Takes a tenth of a second to import, and few files need it.
    from charset_normalizer import from_bytes

    best = from_bytes(sample).best()
    return best.encoding if best is not None else "cp1252"


def _checked(text: str) -> str:
    if len(text) - len(_NO_TEXT.sub("", text)) > max(_A_FEW, _MOST_NO_TEXT * len(text)):
        raise ReadError("is no text")
    return text
