"""What the readers have in common."""

from __future__ import annotations

import re
from datetime import date, datetime

_DATE_IN_NAME = re.compile(r"(?<!\d)((?:19|20)\d\d)(?P<apart>[-_. ]?)(\d\d)(?P=apart)(\d\d)(?!\d)")


class ReadError(Exception):
    """The file cannot be taken in; the message is the reason, to be read after the file's name."""


def iso_date(text: str) -> str | None:
    """The date, or date and time, that ``text`` is, in ISO form; None where it is none."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).isoformat()
    except ValueError:
        return None


def date_in_name(name: str) -> str | None:
    """The first date in the name of a file, as people put it there to sort their letters: 2016-03-07, 20160307."""
    for found in _DATE_IN_NAME.finditer(name):
        if (written := iso_date(f"{found[1]}-{found[3]}-{found[4]}")) is not None:
            return written
    return None
