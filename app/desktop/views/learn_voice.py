"""Second step of learning: the voice's name, and how much time to spend."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QButtonGroup, QFrame, QLineEdit, QRadioButton, QWidget

from app.desktop.presenters.learn import DEFAULT_NAME
from app.desktop.presenters.learn_budget import BudgetLine
from app.desktop.theme import Space
from app.desktop.views.parts import button, column, label, restyle, row

# Where the text of a radio button begins.
_INDENT = 26


class VoicePage(QWidget):
    """Emits ``started`` with a name and a budget, and ``back_wanted``."""

    started = Signal(str, str)
    back_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.name = QLineEdit(DEFAULT_NAME)
        self.name.setMaxLength(60)
        self.name.setMaximumWidth(360)
        self.name.setAccessibleName("Name of the voice")
        self.name.textChanged.connect(self._adapt)
        self.name.returnPressed.connect(self._start)
        self._hint = label("", "small", wrap=True)
        title = label("What shall the voice be called?", "strong")
        title.setBuddy(self.name)
        self._names: tuple[str, ...] = ()
        self._budgets = QButtonGroup(self)
        self._choices = column(gap=Space.S)
        self.offers: dict[str, _Offer] = {}
        self._basis = label("", "muted", wrap=True)
        self.start = button("Start learning", "primary")
        back = button("Back")
        self.start.clicked.connect(self._start)
        back.clicked.connect(self.back_wanted)
        foot = row(gap=Space.M)
        foot.addWidget(back)
        foot.addStretch(1)
        foot.addWidget(self.start)
        whole = column(self, gap=Space.S)
        for part in (title, self.name, self._hint):
            whole.addWidget(part)
        whole.addSpacing(Space.L)
        whole.addWidget(label("How much time may it take?", "strong"))
        whole.addLayout(self._choices)
        whole.addSpacing(Space.S)
        whole.addWidget(self._basis)
        whole.addStretch(1)
        whole.addLayout(foot)
        self._adapt()

    def show_budgets(self, lines: Sequence[BudgetLine], basis: str) -> None:
        """Offer ``lines``; ``basis`` says what will be learnt from."""
        self._basis.setText(basis)
        for line in lines:
            if line.id not in self.offers:
                self._add(line)
            self.offers[line.id].choice.setText(f"{line.title} – {line.estimate}")

    def show_names(self, names: Sequence[str]) -> None:
        """The voices there are."""
        self._names = tuple(names)
        self._adapt()

    def _add(self, line: BudgetLine) -> None:
        offer = _Offer(line)
        self._budgets.addButton(offer.choice)
        self._choices.addWidget(offer)
        self.offers[line.id] = offer

    def _adapt(self) -> None:
        name = self.name.text().strip()
        if name in self._names:
            self._hint.setText(
                f"“{name}” exists already and will be learnt again; until that is done it stays."
            )
        else:
            self._hint.setText("You can have several voices: one for letters, one for work…")
        self.start.setEnabled(bool(name))

    def _start(self) -> None:
        chosen = self._budgets.checkedButton()
        if self.name.text().strip() and chosen is not None:
            self.started.emit(self.name.text(), chosen.property("budget"))


class _Offer(QFrame):
    """One budget to choose, by its button or anywhere on its card."""

    def __init__(self, line: BudgetLine) -> None:
        super().__init__()
        self.setProperty("kind", "card")
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.choice = QRadioButton(line.title)
        self.choice.setProperty("budget", line.id)
        self.choice.setAccessibleDescription(line.told)
        self.choice.toggled.connect(lambda chosen: restyle(self, "chosen", chosen))
        self.choice.setChecked(line.is_default)
        told = label(line.told, "muted", wrap=True)
        told.setContentsMargins(_INDENT, 0, 0, 0)
        inside = column(self, margin=Space.L, gap=Space.XS)
        inside.addWidget(self.choice)
        inside.addWidget(told)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A click beside the button is meant for it."""
        self.choice.setChecked(True)
