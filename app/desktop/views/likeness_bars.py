"""Two bars that show a likeness: how much likelier one's own text became, and other people's."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.desktop.presenters.wording import percent_closer
from app.desktop.theme import Space, Theme
from calibrate.messages import Likeness

_NAMES = ("Your text", "Other people's text")
_BAR = 14
_ROW = 34


class LikenessBars(QWidget):
    """Bars to the right of a zero line are text that became likelier, to the left less likely."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._likeness: Likeness | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self.update)

    def show_likeness(self, likeness: Likeness) -> None:
        """Draw ``likeness``."""
        self._likeness = likeness
        own, others = self._percents(likeness)
        self.setAccessibleName(f"{_NAMES[0]} {own:+} per cent, {_NAMES[1].lower()} {others:+} per cent")
        self.update()

    def sizeHint(self) -> QSize:
        """Two rows."""
        return QSize(400, 2 * _ROW)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Names to the left, bars around the zero line, figures at their ends."""
        if self._likeness is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        metrics = self.fontMetrics()
        names = max(metrics.horizontalAdvance(name) for name in _NAMES) + Space.L
        figures = metrics.horizontalAdvance("+000 %") + Space.M
        values = self._percents(self._likeness)
        low, high = min(0, *values), max(10, *values)
        room = self.width() - names - figures - (figures if low < 0 else 0)
        scale = room / (high - low)
        zero = names + (figures if low < 0 else 0) - low * scale
        colours = self._theme.colours
        for place, (name, value) in enumerate(zip(_NAMES, values, strict=True)):
            top, middle = place * _ROW, place * _ROW + _ROW / 2
            painter.setPen(QColor(colours.text))
            cell = Qt.AlignmentFlag.AlignVCenter
            painter.drawText(QRectF(0, top, names, _ROW), cell | Qt.AlignmentFlag.AlignLeft, name)
            end = zero + value * scale
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.accent if place == 0 else colours.line_strong))
            bar = QRectF(min(zero, end), middle - _BAR / 2, max(2.0, abs(end - zero)), _BAR)
            painter.drawRoundedRect(bar, 4, 4)
            painter.setPen(QColor(colours.text if place == 0 else colours.muted))
            figure = f"{value:+} %".replace("-", "−")
            if value >= 0:
                at = QRectF(end + Space.S, top, figures, _ROW)
                painter.drawText(at, cell | Qt.AlignmentFlag.AlignLeft, figure)
            else:
                at = QRectF(end - Space.S - figures, top, figures, _ROW)
                painter.drawText(at, cell | Qt.AlignmentFlag.AlignRight, figure)

    def _percents(self, likeness: Likeness) -> tuple[int, int]:
        return percent_closer(likeness.own), percent_closer(likeness.others)
