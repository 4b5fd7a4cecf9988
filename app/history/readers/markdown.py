"""Markdown files, those of note-taking programs included.

Out goes what is no writing: front matter, comments, pictures, and the addresses behind links. Emphasis and
lists stay as they were written.
"""

from __future__ import annotations

import re
from pathlib import Path

from app.history.readers.common import iso_date
from app.history.readers.decoding import decode
from app.history.readers.wrapping import unwrapped
from app.history.records import NewDocument
from app.history.textwork import tidy

_FRONT_MATTER = re.compile(
    r"(?P<fence>---|\+\+\+)[ \t]*\n(?P<inner>.*?)^(?P=fence)[ \t]*(?:\n|\Z)", re.M | re.S
)
_SETTING = re.compile(r"(?P<key>[\w -]+?)[ \t]*[:=](?:[ \t]+(?P<value>.*))?")
# Of a list, of a value over several lines, or a comment.
_PART_OF_SETTING = re.compile(r"[ \t]|-(?:[ \t]|$)|#|[\]}]")
# The front matter's dates, the one that tells best when it was written first.
_DATES = ("date", "created", "published")

# An HTML comment that is not closed reaches to the end of the file.
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)|%%[^%]*%%", re.S)
_PICTURE = re.compile(r"!\[\[[^\[\]\n]*\]\]|!\[[^\[\]\n]*\]\([^()\n]*\)")
_WIKI_LINK = re.compile(r"\[\[(?:[^\[\]|\n]*\|)?([^\[\]|\n]*)\]\]")
_LINK = re.compile(r"\[([^\[\]\n]+)\](?:\((?:[^()\n]|\([^()\n]*\))*\)|\[[^\[\]\n]*\])")
_LINK_TARGET = re.compile(r"^[ ]{0,3}\[(?!\^)[^\[\]\n]+\]:[ \t]+\S.*$", re.M)
_FOOTNOTE = re.compile(r"\[\^[^\[\]\s]+\]:?[ \t]?")
_TAG = re.compile(r"</?[a-zA-Z][a-zA-Z0-9]*(?:\s[^<>\n]*)?/?>")
_HEADING = re.compile(r"^[ ]{0,3}(#{1,6}[ \t].*)$", re.M)


def parse(path: Path, data: bytes) -> list[NewDocument]:
    """One document: the text of the file. Title and date come from the front matter where it has them."""
    settings, body = _front_matter(tidy(decode(data)))
    dates = (iso_date(settings[key]) for key in _DATES if key in settings)
    title = settings.get("title") or path.stem
    return [NewDocument(title, next(filter(None, dates), None), "note", unwrapped(tidy(_written(body))))]


def _front_matter(text: str) -> tuple[dict[str, str], str]:
    """The settings at the top of ``text`` that fit on one line each, by key, and the text below them."""
    found = _FRONT_MATTER.match(text)
    if found is None:
        return {}, text
    settings = {}
    for line in found["inner"].splitlines():
        setting = _SETTING.fullmatch(line)
        if setting is not None:
            value = (setting["value"] or "").strip()
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
            settings[setting["key"].lower()] = value[1:-1] if quoted else value
        elif line.strip() and not _PART_OF_SETTING.match(line):
            return {}, text  # a rule above a text that has another rule below it
    return settings, text[found.end() :]


def _written(body: str) -> str:
    body = _LINK_TARGET.sub("", _PICTURE.sub("", _COMMENT.sub("", body)))
    body = _LINK.sub(r"\1", _WIKI_LINK.sub(r"\1", _FOOTNOTE.sub("", body)))
    # A heading is a paragraph of its own, whether or not there are empty lines around it.
    return _HEADING.sub(r"\n\1\n", _TAG.sub("", body))
