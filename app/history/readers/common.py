"""What the readers have in common."""

from __future__ import annotations


class ReadError(Exception):
    """The file cannot be taken in; the message is the reason, to be read after the file's name."""
