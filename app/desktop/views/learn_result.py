"""Last step of learning: how much closer the voice came, in a figure, a picture and a sentence."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from app.desktop.icons import Icons
from app.desktop.presenters.wording import count, percent_closer
from app.desktop.theme import Space, Theme
from app.desktop.views.likeness_bars import LikenessBars
from app.desktop.views.parts import button, card, column, label, row
from app.wording import duration, likeness_numbers, likeness_sentence
from app.workers.learning import LearnResult


class ResultPage(QWidget):
    """Emits ``write_wanted`` with the voice's name, and ``more_wanted``."""

    write_wanted = Signal(str)
    more_wanted = Signal()

    def __init__(self, theme: Theme, icons: Icons) -> None:
        super().__init__()
        self._voice = ""
        self._figure = label("", "figure")
        self._headline = label("", "heading", wrap=True)
        self._sentence = label("", wrap=True)
        self.bars = LikenessBars(theme)
        self._details = label("", "small", wrap=True)
        self._notices = label("", "warn", wrap=True)
        frame, inside = card("card", gap=Space.M)
        inside.setContentsMargins(Space.XL, Space.XL, Space.XL, Space.XL)
        for part in (self._figure, self._sentence, self.bars, self._notices):
            inside.addWidget(part)
        self.write = button("Write in this voice", "primary")
        icons.put(self.write, "send", "on_accent")
        self.write.clicked.connect(lambda: self.write_wanted.emit(self._voice))
        more = button("Learn from more writing")
        more.clicked.connect(self.more_wanted)
        foot = row(gap=Space.M)
        foot.addWidget(more)
        foot.addStretch(1)
        foot.addWidget(self.write)
        whole = column(self, gap=Space.M)
        whole.addWidget(self._headline)
        whole.addWidget(frame)
        whole.addWidget(self._details)
        whole.addStretch(1)
        whole.addLayout(foot)

    def show_result(self, result: LearnResult) -> None:
        """Show how well the voice was learnt."""
        self._voice = result.voice
        likeness = result.likeness
        closer = percent_closer(likeness.own)
        self._headline.setText(f"“{result.voice}” is ready")
        self._figure.setText(
            f"{closer} % closer to you" if likeness.own_high < 0 else "Not measurably closer"
        )
        self._sentence.setText(likeness_sentence(likeness))
        self.bars.show_likeness(likeness)
        self._notices.setText("\n".join(result.notices))
        self._notices.setVisible(bool(result.notices))
        self._details.setText(
            f"{count(result.pairs, 'pair')} · {duration(result.seconds)} · recommended strength "
            f"{result.strength:g} · {likeness_numbers(likeness)}"
        )
