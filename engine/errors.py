"""The engine's one family of errors a person can act on."""

from __future__ import annotations


class EngineError(Exception):
    """Something the person can mend: the message says what happened, to which file, and what to do."""
