"""Whether a window can be shown here, and what to do where not."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping

from app.errors import KnownError


def require_screen(
    environment: Mapping[str, str] = os.environ, platform: str = sys.platform, toolkit: str = "PySide6"
) -> None:
    """Raise KnownError, saying what to do, when there is no screen or the window's toolkit is missing.

    Nothing is imported: Qt would end the program by itself where it finds no screen.
    """
    if importlib.util.find_spec(toolkit) is None:
        raise KnownError(
            "The window needs the package PySide6-Essentials, which is not installed. Add it with:\n"
            "  pip install 'PySide6-Essentials>=6.8,<6.12'\n"
            "The command line works without it: idiolect --help"
        )
    # macOS and Windows always have a screen; elsewhere the session names it.
    named = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if platform not in ("darwin", "win32") and not any(environment.get(name) for name in named):
        raise KnownError(
            "There is no screen here to show the window on (neither DISPLAY nor WAYLAND_DISPLAY is set). "
            "Start idiolect in a desktop session, or use the command line: idiolect --help"
        )
