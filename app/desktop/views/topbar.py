"""The bar over the page: which voice writes, how strongly, and the way to learning one."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QAction, QActionGroup, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QMenu, QPushButton, QWidget

from app.desktop.icons import Icons, pixmap
from app.desktop.presenters.voices import PLAIN_NAME, VoiceChoice
from app.desktop.theme import Space, Theme
from app.desktop.views.parts import button, label, restyle, row
from app.desktop.views.strength import StrengthControl

_LONGEST_NAME = 28
_CHEVRON = 14
# From which width of the bar on its caption, the likeness, and the caption of the strength are shown.
_NEEDED_WIDTHS = (600, 760, 660)


class PickButton(QPushButton):
    """A button that opens a menu, and says so by a chevron after its text."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.setObjectName("pick")
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def paintEvent(self, event: QPaintEvent) -> None:
        """The button, and on it the chevron."""
        super().paintEvent(event)
        drawn = pixmap("chevron", self._theme.colours.muted, _CHEVRON)
        top = (self.height() - _CHEVRON) // 2
        QPainter(self).drawPixmap(self.width() - _CHEVRON - Space.S, top, drawn)


class TopBar(QWidget):
    """Emits ``voice_picked`` (a name, or None for the plain model), ``strength_set`` and ``learn_wanted``."""

    voice_picked = Signal(object)
    strength_set = Signal(float)
    learn_wanted = Signal()

    def __init__(self, theme: Theme, icons: Icons) -> None:
        super().__init__()
        self.setObjectName("topbar")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedHeight(60)
        self._icons = icons
        self.voice = PickButton(theme)
        self._menu = QMenu(self.voice)
        self._menu.setAccessibleName("Voices")
        self.voice.clicked.connect(self._open_menu)
        self._summary = label("", "small")
        self.strength = StrengthControl(theme)
        self.strength.changed.connect(self.strength_set)
        self.learn = button("Learn my style", "primary")
        self.learn.setToolTip("Teach Idiolect to write the way you do (Ctrl+L)")
        icons.put(self.learn, "learn", "on_accent")
        self.learn.clicked.connect(self.learn_wanted)
        caption = label("Voice", "muted")
        caption.setBuddy(self.voice)
        self._where_wide = (caption, self._summary, self.strength.caption)
        inside = row(self, gap=Space.S)
        inside.setContentsMargins(Space.XL, 0, Space.L, 0)
        inside.addWidget(caption)
        inside.addWidget(self.voice)
        inside.addWidget(self._summary)
        inside.addStretch(1)
        inside.addWidget(self.strength)
        inside.addSpacing(Space.M)
        inside.addWidget(self.learn)
        self.show_choice(VoiceChoice())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """In a narrow window the words give way to the controls."""
        super().resizeEvent(event)
        for part, needed in zip(self._where_wide, _NEEDED_WIDTHS, strict=True):
            part.setVisible(self.width() >= needed)

    def show_choice(self, choice: VoiceChoice) -> None:
        """Show the voices to pick from and the one picked."""
        line = choice.line
        name = line.name if line else PLAIN_NAME
        self.voice.setText(_short(name))
        summary = line.summary if line else ""
        if line and line.out_of_date:
            summary = f"{summary} · out of date"
        self._summary.setText(summary)
        self.voice.setAccessibleName(f"Voice: {name}" + (f", {summary}" if summary else ""))
        recommended = line.recommended if line else 1.0
        self.strength.show_strength(choice.strength, recommended, enabled=line is not None)
        self._fill(choice)

    def show_learning(self, running: bool, text: str = "") -> None:
        """While a voice is being learnt the button says how far it is, and leads there."""
        self.learn.setText(text if running and text else "Learning…" if running else "Learn my style")
        restyle(self.learn, "kind", "accent" if running else "primary")
        self._icons.put(self.learn, "learn", "accent" if running else "on_accent")

    def _open_menu(self) -> None:
        self._menu.popup(self.voice.mapToGlobal(QPoint(0, self.voice.height() + Space.XS)))

    def _fill(self, choice: VoiceChoice) -> None:
        self._menu.clear()
        group = QActionGroup(self._menu)
        self._add(group, PLAIN_NAME, "no voice", None, choice.selected is None)
        for line in choice.lines:
            summary = f"{line.summary} · out of date" if line.out_of_date else line.summary
            self._add(group, line.name, summary, line.name, line.name == choice.selected)
        if not choice.lines:
            self._menu.addSeparator()
            hint = self._menu.addAction("Learn my style…")
            hint.triggered.connect(self.learn_wanted)

    def _add(self, group: QActionGroup, name: str, summary: str, picked: str | None, checked: bool) -> None:
        # What follows the tab is set to the right, where other menus have their shortcuts.
        shown = _short(name).replace("&", "&&")
        action = QAction(f"{shown}\t{summary}", self._menu, checkable=True, checked=checked)
        action.triggered.connect(lambda: self.voice_picked.emit(picked))
        group.addAction(action)
        self._menu.addAction(action)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
