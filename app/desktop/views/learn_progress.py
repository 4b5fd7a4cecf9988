"""Third step of learning: what is being done, how long it still takes, and a look at what comes out."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QVBoxLayout, QWidget

from app.desktop.presenters.learn import LearnProgress
from app.desktop.theme import Space
from app.desktop.views.parts import button, card, column, label, row
from app.desktop.views.scrolling import ScrollArea
from calibrate.messages import PairMade

_MARK = 20
_STAGES_WIDTH = 260
_LONGEST_SAMPLE = 420


class ProgressPage(QWidget):
    """Emits ``cancelled`` and ``chat_wanted``."""

    cancelled = Signal()
    chat_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._stages: list[tuple[QLabel, QLabel]] = []
        self._stage_column = column(gap=Space.XS)
        self._headline = label("", "heading")
        self._left = label("", "muted")
        self._bar = QProgressBar()
        self._bar.setRange(0, 1000)
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName("Learning, as a whole")
        self._notice = label("", "warn", wrap=True)
        cancel = button("Cancel", says="Cancel learning")
        self._cancel = cancel
        cancel.clicked.connect(self.cancelled)
        chat = button("Back to writing", "quiet")
        chat.clicked.connect(self.chat_wanted)
        chat.setToolTip("Learning goes on meanwhile")
        head = row(gap=Space.M)
        head.addWidget(self._headline, 1)
        head.addWidget(self._left)
        middle = row(gap=Space.XL)
        left = QWidget()
        left.setFixedWidth(_STAGES_WIDTH)
        stages = column(left, gap=Space.S)
        stages.addLayout(self._stage_column)
        stages.addStretch(1)
        middle.addWidget(left)
        middle.addWidget(self._build_looks(), 1)
        foot = row(gap=Space.M)
        foot.addWidget(
            label("You can go on writing meanwhile. Cancelling keeps what is prepared.", "small", wrap=True),
            1,
        )
        foot.addWidget(chat)
        foot.addWidget(cancel)
        whole = column(self, gap=Space.M)
        whole.addLayout(head)
        whole.addWidget(self._bar)
        whole.addWidget(self._notice)
        whole.addSpacing(Space.S)
        whole.addLayout(middle, 1)
        whole.addLayout(foot)
        self.begin()

    def begin(self) -> None:
        """Forget the run before."""
        self._notice.hide()
        self._insight.setText("It will stand here once it has been written.")
        self._sample.hide()
        self._waiting.show()
        self._cancel.setEnabled(True)

    def show_progress(self, progress: LearnProgress) -> None:
        """Show where the run is."""
        if len(self._stages) != len(progress.stages):
            self._build_stages(progress.stages)
        for place, (mark, name) in enumerate(self._stages):
            mark.setText("✓" if place < progress.stage else "●" if place == progress.stage else "○")
            kind = "good" if place < progress.stage else "strong" if place == progress.stage else "muted"
            for part in (mark, name):
                part.setProperty("kind", "good" if part is mark and place == progress.stage else kind)
                part.style().polish(part)
        steps = f" · {progress.steps}" if progress.steps else ""
        self._headline.setText(f"{progress.stages[progress.stage]}{steps}")
        self._left.setText(progress.time_left)
        self._bar.setValue(round(progress.fraction * 1000))

    def show_pair(self, pair: PairMade) -> None:
        """Show what was just written."""
        self._query.setText(_short(pair.query))
        self._own.setText(_short(pair.own))
        self._plain.setText(_short(pair.plain))
        self._waiting.hide()
        self._sample.show()

    def show_insight(self, text: str) -> None:
        """Show how the model describes the person's writing."""
        self._insight.setText(text)

    def show_notice(self, text: str) -> None:
        """Show a sentence the person should read."""
        self._notice.setText(text)
        self._notice.show()

    def show_stopping(self) -> None:
        """Cancelling takes a moment; it need not be asked for twice."""
        self._cancel.setEnabled(False)

    def _build_stages(self, names: tuple[str, ...]) -> None:
        for name in names:
            mark, text = label("○", "muted"), label(name, "muted", wrap=True)
            mark.setFixedWidth(_MARK)
            line: QHBoxLayout = row(gap=Space.S)
            line.addWidget(mark)
            line.addWidget(text, 1)
            self._stage_column.addLayout(line)
            self._stages.append((mark, text))

    def _build_looks(self) -> QWidget:
        insight_card, insight = card()
        insight.addWidget(label("How you write, in the model's words", "strong", wrap=True))
        self._insight = label("", "muted", wrap=True)
        insight.addWidget(self._insight)
        pair_card, pair = card()
        pair.addWidget(label("Learning from pairs like this", "strong", wrap=True))
        self._waiting = label("The first pair is being written…", "muted", wrap=True)
        pair.addWidget(self._waiting)
        self._sample = QWidget()
        self._query, self._own, self._plain = (label("", wrap=True) for _ in range(3))
        sample = column(self._sample, gap=Space.XS)
        for caption, text in (
            ("Asked for", self._query),
            ("Your way", self._own),
            ("The model's plain way", self._plain),
        ):
            sample.addWidget(label(caption, "small", wrap=True))
            sample.addWidget(text)
            sample.addSpacing(Space.S)
        pair.addWidget(self._sample)
        inside = QWidget()
        inside.setObjectName("page")
        both: QVBoxLayout = column(inside, gap=Space.M)
        both.addWidget(insight_card)
        both.addWidget(pair_card)
        both.addStretch(1)
        scroll = ScrollArea()
        scroll.setWidget(inside)
        scroll.setAccessibleName("A look at what is being learnt")
        return scroll


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_SAMPLE else text[:_LONGEST_SAMPLE].rsplit(" ", 1)[0] + " …"
