"""Icons: small SVG files in ``resources/style/icons``, drawn in a colour of the theme."""

from __future__ import annotations

import weakref

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QSize
from PySide6.QtGui import QIcon, QImageReader, QPixmap
from PySide6.QtWidgets import QAbstractButton

from app.desktop.theme import Space, Theme
from resources import resource


def pixmap(name: str, colour: str, size: int = Space.ICON, ratio: float = 2.0) -> QPixmap:
    """The icon ``name`` in ``colour``, ``size`` wide and high; ``ratio``: device pixels per pixel."""
    drawing = resource("style", "icons", f"{name}.svg").read_bytes()
    buffer = QBuffer()
    buffer.setData(QByteArray(drawing.replace(b"currentColor", colour.encode())))
    buffer.open(QIODevice.OpenModeFlag.ReadOnly)
    reader = QImageReader(buffer, QByteArray(b"svg"))
    reader.setScaledSize(QSize(round(size * ratio), round(size * ratio)))
    drawn = QPixmap.fromImage(reader.read())
    drawn.setDevicePixelRatio(ratio)
    return drawn


class Icons:
    """Puts icons on buttons, and draws them anew when the theme changes."""

    def __init__(self, theme: Theme) -> None:
        self._theme = theme
        self._given: weakref.WeakKeyDictionary[QAbstractButton, tuple[str, str, int]] = (
            weakref.WeakKeyDictionary()
        )
        theme.changed.connect(self._draw_all)

    def put(self, button: QAbstractButton, name: str, role: str = "text", size: int = Space.ICON) -> None:
        """Show the icon ``name`` on ``button`` in the theme colour ``role``."""
        self._given[button] = (name, role, size)
        self._draw(button)

    def _draw_all(self) -> None:
        for button in list(self._given):
            self._draw(button)

    def _draw(self, button: QAbstractButton) -> None:
        name, role, size = self._given[button]
        icon = QIcon()
        icon.addPixmap(pixmap(name, getattr(self._theme.colours, role), size))
        icon.addPixmap(pixmap(name, self._theme.colours.muted, size), QIcon.Mode.Disabled)
        button.setIcon(icon)
        button.setIconSize(QSize(size, size))
