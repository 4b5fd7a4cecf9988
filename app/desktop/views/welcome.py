"""What an empty conversation shows: what one can ask, and that one's own style can be learnt."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QWidget

from app.desktop.icons import Icons
from app.desktop.theme import Space
from app.desktop.views.parts import button, card, centred, column, label, row

EXAMPLES = (
    "Write a short email to cancel dinner on Friday because I am ill.",
    "Thank a colleague for helping me with the report.",
    "Tell a friend about a long walk by the sea, in a few sentences.",
)


class Welcome(QWidget):
    """Emits ``asked`` with an example the person picked, and ``learn_wanted``."""

    asked = Signal(str)
    learn_wanted = Signal()

    def __init__(self, icons: Icons) -> None:
        super().__init__()
        inside = QWidget()
        column_ = column(inside, gap=Space.M)
        title = label("What shall we write?", "title", wrap=True)
        title.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        told = label("Ask for a mail, a reply, a note – or start with one of these:", "muted", wrap=True)
        told.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        column_.addWidget(title)
        column_.addWidget(told)
        column_.addSpacing(Space.M)
        for text in EXAMPLES:
            chip = button(text, "chip")
            chip.clicked.connect(lambda _checked=False, text=text: self.asked.emit(text))
            column_.addWidget(chip)
        column_.addSpacing(Space.M)
        self._hint, hint = card("tinted")
        line = row(gap=Space.L)
        words = column(gap=Space.XS)
        words.addWidget(label("Make it sound like you", "strong"))
        words.addWidget(
            label(
                "Give Idiolect mails, letters or notes you wrote. It learns your style from them – "
                "here, on this computer; nothing is sent anywhere.",
                "muted",
                wrap=True,
            )
        )
        learn = button("Learn my style…")
        icons.put(learn, "learn", "accent")
        learn.clicked.connect(self.learn_wanted)
        line.addLayout(words, 1)
        line.addWidget(learn, 0, Qt.AlignmentFlag.AlignVCenter)
        hint.addLayout(line)
        column_.addWidget(self._hint)
        whole = column(self, margin=Space.XL)
        whole.addStretch(2)
        whole.addLayout(centred(inside, Space.COLUMN))
        whole.addStretch(3)

    def show_has_voice(self, has_voice: bool) -> None:
        """With a voice learnt the hint is not needed any more."""
        self._hint.setVisible(not has_voice)
