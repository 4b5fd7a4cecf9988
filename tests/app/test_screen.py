from __future__ import annotations

import pytest

from app.errors import KnownError
from app.screen import require_screen


def test_no_screen_is_a_known_error_that_names_the_other_way() -> None:
    with pytest.raises(KnownError, match=r"DISPLAY.*idiolect --help"):
        require_screen({}, "linux", "json")


@pytest.mark.parametrize("name", ["DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"])
def test_any_of_the_ways_to_a_screen_will_do(name: str) -> None:
    require_screen({name: "x"}, "linux", "json")


def test_systems_that_always_have_a_screen_are_not_asked() -> None:
    for platform in ("win32", "darwin"):
        require_screen({}, platform, "json")


def test_a_missing_toolkit_names_the_command_that_adds_it() -> None:
    with pytest.raises(KnownError, match="pip install 'PySide6-Essentials"):
        require_screen({"DISPLAY": ":0"}, "linux", "no_such_toolkit")
