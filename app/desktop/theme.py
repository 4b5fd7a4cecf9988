"""The one place for colours, spacing and type sizes; light and dark, following the system.

Widgets are told what they are (an object name, or the dynamic property ``kind``); how that looks stands in
``resources/style/window.qss``, whose ``$names`` are filled from here. A style sheet takes pictures only from
files, in the colours they have: those are in ``resources/style/marks``, for each look.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from importlib.resources import as_file
from string import Template

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontInfo, QPalette
from PySide6.QtWidgets import QApplication

from resources import read_text, resource


@dataclass(frozen=True)
class Colours:
    """Every colour of the window. Text on its ground has a contrast of at least 4.5 : 1."""

    window: str
    sidebar: str
    card: str
    line: str
    line_strong: str
    text: str
    muted: str
    accent: str
    accent_hover: str
    on_accent: str
    tint: str
    tint_line: str
    hover: str
    selected: str
    code: str
    warn: str
    warn_ground: str
    warn_line: str
    danger: str
    danger_ground: str
    danger_line: str


LIGHT = Colours(
    window="#ffffff",
    sidebar="#f6f5f2",
    card="#faf9f7",
    line="#e7e4de",
    line_strong="#cfcac1",
    text="#1f1d1a",
    muted="#6a655d",
    accent="#0b6b63",
    accent_hover="#095a53",
    on_accent="#ffffff",
    tint="#e6f1ef",
    tint_line="#c6dfdb",
    hover="#eeece7",
    selected="#e6e3dc",
    code="#f4f2ee",
    warn="#7a4b00",
    warn_ground="#fdf5e4",
    warn_line="#efd9a8",
    danger="#a3231f",
    danger_ground="#fdf0ef",
    danger_line="#f0c9c6",
)

DARK = Colours(
    window="#1b1a18",
    sidebar="#141312",
    card="#232220",
    line="#33312d",
    line_strong="#4b4842",
    text="#ece9e3",
    muted="#a59f95",
    accent="#4fc3b5",
    accent_hover="#6bd3c6",
    on_accent="#06201d",
    tint="#1d3935",
    tint_line="#2d5751",
    hover="#262421",
    selected="#312f2b",
    code="#26241f",
    warn="#efc878",
    warn_ground="#2f2818",
    warn_line="#5a4a22",
    danger="#f2a39e",
    danger_ground="#361f1d",
    danger_line="#66342f",
)


class Space:
    """Distances in device-independent pixels; everything is a multiple of 4."""

    XS, S, M, L, XL, XXL = 4, 8, 12, 16, 24, 40
    SIDEBAR = 264
    COLUMN = 760
    RADIUS = 10
    ICON = 18


# What a bare X server calls its default font is an alias; where one of these is there, it reads better.
_PREFERRED_FONTS = ("Inter", "Noto Sans", "Cantarell", "Ubuntu", "DejaVu Sans")


class Theme(QObject):
    """The look in force. ``changed`` is emitted when the system turns light or dark."""

    changed = Signal()

    def __init__(self, app: QApplication, *, dark: bool | None = None) -> None:
        """``dark`` None follows the system."""
        super().__init__(app)
        self._app = app
        self._forced = dark
        app.setStyle("Fusion")
        app.setFont(_base_font(app.font()))
        self.colours = LIGHT
        self.apply()
        app.styleHints().colorSchemeChanged.connect(self.apply)

    @property
    def dark(self) -> bool:
        """Whether the dark colours are in force."""
        return self.colours is DARK

    def apply(self) -> None:
        """Put the look that fits the system in force."""
        dark = _system_is_dark(self._app) if self._forced is None else self._forced
        self.colours = DARK if dark else LIGHT
        self._app.setPalette(_palette(self.colours))
        self._app.setStyleSheet(style_sheet(self.colours, self._app.font().pointSizeF()))
        self.changed.emit()


def style_sheet(colours: Colours, points: float) -> str:
    """The style sheet in ``colours``, for a base font of ``points``."""
    sizes = {
        "small": points * 0.88,
        "base": points,
        "reading": points * 1.1,
        "heading": points * 1.3,
        "title": points * 1.9,
    }
    values = dataclasses.asdict(colours) | {name: f"{size:.2f}pt" for name, size in sizes.items()}
    on = "dark" if colours is DARK else "light"
    with as_file(resource("style", "marks")) as marks:
        pictures = {name: (marks / f"{name}-{on}.svg").as_posix() for name in ("tick", "dash")}
    return Template(read_text("style", "window.qss")).substitute(values | pictures)


def _system_is_dark(app: QApplication) -> bool:
    scheme = app.styleHints().colorScheme()
    if scheme != Qt.ColorScheme.Unknown:
        return scheme == Qt.ColorScheme.Dark
    ground = app.style().standardPalette().color(QPalette.ColorRole.Window)
    return ground.lightness() < 128


def _base_font(font: QFont) -> QFont:
    font = QFont(font)
    if font.family() in ("Sans Serif", "Sans", ""):
        have = set(QFontDatabase.families())
        font.setFamily(next((name for name in _PREFERRED_FONTS if name in have), font.family()))
    if font.pointSizeF() <= 0:  # a font given in pixels
        font.setPointSizeF(QFontInfo(font).pointSizeF())
    font.setPointSizeF(max(font.pointSizeF(), 10.0))
    return font


def _palette(colours: Colours) -> QPalette:
    palette = QPalette()
    roles = {
        QPalette.ColorRole.Window: colours.window,
        QPalette.ColorRole.Base: colours.window,
        QPalette.ColorRole.AlternateBase: colours.card,
        QPalette.ColorRole.Button: colours.card,
        QPalette.ColorRole.ToolTipBase: colours.text,
        QPalette.ColorRole.ToolTipText: colours.window,
        QPalette.ColorRole.Text: colours.text,
        QPalette.ColorRole.WindowText: colours.text,
        QPalette.ColorRole.ButtonText: colours.text,
        QPalette.ColorRole.BrightText: colours.danger,
        QPalette.ColorRole.PlaceholderText: colours.muted,
        QPalette.ColorRole.Highlight: colours.accent,
        QPalette.ColorRole.HighlightedText: colours.on_accent,
        QPalette.ColorRole.Accent: colours.accent,
        QPalette.ColorRole.Link: colours.accent,
        QPalette.ColorRole.LinkVisited: colours.accent,
        QPalette.ColorRole.Mid: colours.line_strong,
        QPalette.ColorRole.Dark: colours.line_strong,
        QPalette.ColorRole.Light: colours.card,
        QPalette.ColorRole.Midlight: colours.line,
    }
    for role, colour in roles.items():
        palette.setColor(role, QColor(colour))
    for role in (QPalette.ColorRole.Text, QPalette.ColorRole.WindowText, QPalette.ColorRole.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(colours.muted))
    return palette
