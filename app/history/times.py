"""The time, as the history stores it."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """The time of this moment, UTC, in ISO form; sorts as text."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
