"""The window's tests need Qt's libraries; without a display they draw on Qt's offscreen platform."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

try:
    from PySide6 import QtWidgets
except ImportError as error:
    pytest.skip(f"Qt's libraries cannot be loaded: {error}", allow_module_level=True)

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

    from app.desktop.theme import Theme
    from tests.app.desktop.whole import Whole


@pytest.fixture
def theme(qapp: QtWidgets.QApplication) -> Iterator[Theme]:
    """The light theme on the application of the tests."""
    from app.desktop.theme import Theme

    made = Theme(qapp, dark=False)
    yield made
    made.deleteLater()


@pytest.fixture
def whole(qtbot: QtBot, qapp: QtWidgets.QApplication, tmp_path: Path) -> Iterator[Whole]:
    """The started window on an empty data folder."""
    from tests.app.desktop.whole import Whole

    made = Whole(qtbot, qapp, tmp_path / "data")
    made.start()
    yield made
    made.end()
