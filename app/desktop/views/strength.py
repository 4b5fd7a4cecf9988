"""The strength slider: 0 is the plain model, a mark shows the strength that measured best."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSlider, QStyle, QStyleOptionSlider, QWidget

from app.desktop.presenters.voices import STRONGEST
from app.desktop.theme import Space, Theme
from app.desktop.views.parts import label, row

# Steps of the slider in one unit of strength.
_FINE = 20


class _Slider(QSlider):
    """A level slider with a mark at ``recommended``."""

    def __init__(self, theme: Theme) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self._theme = theme
        self.recommended = 1.0
        self.setRange(0, round(STRONGEST * _FINE))
        self.setSingleStep(_FINE // 10)
        self.setPageStep(_FINE // 4)
        self.setFixedWidth(132)

    def paintEvent(self, event: QPaintEvent) -> None:
        """The slider, and under it the mark."""
        option = QStyleOptionSlider()
        self.initStyleOption(option)
        handle = self.style().subControlRect(
            QStyle.ComplexControl.CC_Slider, option, QStyle.SubControl.SC_SliderHandle, self
        )
        room = self.width() - handle.width()
        x = handle.width() // 2 + round(room * self.recommended / STRONGEST)
        painter = QPainter(self)
        colours = self._theme.colours
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colours.accent if self.isEnabled() else colours.line_strong))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.drawRoundedRect(x - 1, self.height() // 2 - 9, 2, 18, 1, 1)
        painter.end()
        super().paintEvent(event)


class StrengthControl(QWidget):
    """The slider with its value in figures. Emits ``changed`` with the strength the person set."""

    changed = Signal(float)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.caption = label("Strength", "muted")
        self.slider = _Slider(theme)
        self.slider.setAccessibleName("Strength of the voice")
        self._value = label("1.00", "strong")
        self._value.setFixedWidth(self._value.fontMetrics().horizontalAdvance("0.00") + Space.S)
        inside = row(self, gap=Space.S)
        for part in (self.caption, self.slider, self._value):
            inside.addWidget(part)
        self.caption.setBuddy(self.slider)
        self.slider.valueChanged.connect(self._moved)

    def show_strength(self, strength: float, recommended: float, *, enabled: bool) -> None:
        """Show ``strength``, with the mark at ``recommended``; not ``enabled`` without a voice."""
        self.slider.blockSignals(True)
        self.slider.setValue(round(strength * _FINE))
        self.slider.blockSignals(False)
        self.slider.recommended = recommended
        self.setEnabled(enabled)
        self._value.setText(f"{strength:.2f}")
        says = (
            f"0 is the plain model; {recommended:g}, at the mark, measured best; {STRONGEST:g} is the most."
        )
        self.slider.setToolTip(says if enabled else "Pick a voice first: the plain model has no strength.")
        self.slider.setAccessibleDescription(says)
        self.slider.update()

    def _moved(self, value: int) -> None:
        self._value.setText(f"{value / _FINE:.2f}")
        self.changed.emit(value / _FINE)
