"""The look: readable in light and dark."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.desktop.icons import pixmap
from app.desktop.theme import DARK, LIGHT, Colours, Theme, style_sheet
from resources import resource


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_can_be_read_on_every_ground(colours: Colours) -> None:
    grounds = {
        "text": ("window", "sidebar", "card", "tint", "hover", "selected", "code"),
        "muted": ("window", "sidebar", "card", "hover", "selected", "tint"),
        "accent": ("window", "card"),
        "on_accent": ("accent", "accent_hover"),
        "warn": ("warn_ground", "window", "card"),
        "danger": ("danger_ground", "window"),
    }
    for text, behind in grounds.items():
        for ground in behind:
            contrast = _contrast(getattr(colours, text), getattr(colours, ground))
            assert contrast >= 4.5, f"{text} on {ground}: {contrast:.2f}"


def test_the_look_follows_the_theme(qtbot: QtBot, qapp: QApplication) -> None:
    light, dark = Theme(qapp, dark=False), Theme(qapp, dark=True)
    assert not light.dark
    assert dark.dark
    assert qapp.palette().window().color().name() == DARK.window
    light.apply()
    assert qapp.palette().window().color().name() == LIGHT.window


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_the_style_sheet_is_filled_completely(colours: Colours) -> None:
    assert "$" not in style_sheet(colours, 10.0)


def test_every_icon_can_be_drawn(qapp: QApplication) -> None:
    drawings = [each.name for each in resource("style", "icons").iterdir() if each.name.endswith(".svg")]
    assert drawings
    for name in drawings:
        drawn = pixmap(name.removesuffix(".svg"), "#ff0000", 18).toImage()
        assert not drawn.isNull(), name
        colours = {drawn.pixelColor(x, y).name() for x in range(36) for y in range(36)}
        assert "#ff0000" in colours, name
