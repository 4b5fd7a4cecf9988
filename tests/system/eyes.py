"""What a screen reader sees, as JSON: run by a Python that has the desktop's accessibility library (gi, Atspi).

    python3 eyes.py APPLICATION_PID

Prints a list of {role, name, text, x, y, width, height, enabled, focused, checked} of everything showing.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import gi  # type: ignore[import-not-found]

gi.require_version("Atspi", "2.0")
from gi.repository import Atspi  # type: ignore[import-not-found]  # noqa: E402

_MOST_TEXT = 20_000


def text_of(node: Any) -> str:
    """The text of ``node``; asked for beyond its end, Qt gives none at all."""
    return str(Atspi.Text.get_text(node, 0, min(Atspi.Text.get_character_count(node), _MOST_TEXT)))


def look(node: Any, found: list[dict[str, Any]]) -> None:
    """Add ``node`` and what is in it to ``found``."""
    states = node.get_state_set()
    if not states.contains(Atspi.StateType.SHOWING):
        return
    box = Atspi.Component.get_extents(node, Atspi.CoordType.SCREEN)
    interfaces = node.get_interfaces()
    found.append(
        {
            "role": node.get_role_name(),
            "name": node.get_name() or "",
            "text": text_of(node) if "Text" in interfaces else "",
            "x": box.x,
            "y": box.y,
            "width": box.width,
            "height": box.height,
            "enabled": states.contains(Atspi.StateType.ENABLED),
            "focused": states.contains(Atspi.StateType.FOCUSED),
            "checked": states.contains(Atspi.StateType.CHECKED),
        }
    )
    for index in range(node.get_child_count()):
        child = node.get_child_at_index(index)
        if child is not None:
            look(child, found)


def main() -> None:
    """Print what the application shows; an empty list while it shows nothing."""
    desktop = Atspi.get_desktop(0)
    found: list[dict[str, Any]] = []
    for index in range(desktop.get_child_count()):
        application = desktop.get_child_at_index(index)
        if application is not None and application.get_process_id() == int(sys.argv[1]):
            for place in range(application.get_child_count()):
                look(application.get_child_at_index(place), found)
    json.dump(found, sys.stdout)


main()
