"""Learn my style: the four steps, one page of the window, so that writing stays at hand."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QLabel, QStackedWidget, QWidget

from app.desktop.icons import Icons
from app.desktop.presenters.learn import Step
from app.desktop.presenters.problem import Problem
from app.desktop.theme import Space, Theme
from app.desktop.views.drop_zone import dropped_paths
from app.desktop.views.learn_choose import ChoosePage
from app.desktop.views.learn_progress import ProgressPage
from app.desktop.views.learn_result import ResultPage
from app.desktop.views.learn_voice import VoicePage
from app.desktop.views.parts import Banner, button, centred, column, label, row

_STEPS = ("Your writing", "The voice", "Learning", "Result")


class LearnPage(QWidget):
    """The steps themselves are ``choose``, ``voice``, ``progress`` and ``result``.

    Emits ``closed``, ``dropped`` with paths, and ``problem_acted``.
    """

    closed = Signal()
    dropped = Signal(list)  # of Path
    problem_acted = Signal()

    def __init__(self, theme: Theme, icons: Icons) -> None:
        super().__init__()
        self.setObjectName("page")
        self.setAcceptDrops(True)
        self.choose = ChoosePage(theme, icons)
        self.voice = VoicePage()
        self.progress = ProgressPage()
        self.result = ResultPage(theme, icons)
        self.banner = Banner(icons)
        self.banner.acted.connect(self.problem_acted)
        self.banner.dismissed.connect(self.banner.hide)
        self._stack = QStackedWidget()
        for step_page in (self.choose, self.voice, self.progress, self.result):
            self._stack.addWidget(step_page)
        back = button("", "quiet", says="Back to writing")
        icons.put(back, "back", "muted")
        back.clicked.connect(self.closed)
        head = row(gap=Space.S)
        head.addWidget(back)
        head.addWidget(label("Learn my style", "title"), 1)
        self._steps: list[QLabel] = []
        steps = row(gap=Space.S)
        for number, name in enumerate(_STEPS, start=1):
            step = label(f"{number}  {name}", "muted")
            self._steps.append(step)
            steps.addWidget(step)
            if number < len(_STEPS):
                steps.addWidget(label("›", "muted"))
        steps.addStretch(1)
        inside = QWidget()
        page = column(inside, gap=Space.L)
        page.setContentsMargins(Space.XL, Space.XL, Space.XL, Space.XL)
        page.addLayout(head)
        page.addLayout(steps)
        page.addWidget(self.banner)
        page.addWidget(self._stack, 1)
        column(self).addLayout(centred(inside, Space.COLUMN + 140))
        self.show_step(Step.CHOOSE)

    def show_step(self, step: Step) -> None:
        """Show the page of ``step``."""
        self._stack.setCurrentIndex(step)
        self.focus_step()
        for number, name in enumerate(self._steps):
            kind = "strong" if number == step else "good" if number < step else "muted"
            name.setProperty("kind", kind)
            name.style().polish(name)

    def focus_step(self) -> None:
        """Put the keyboard where the step begins."""
        step = self._stack.currentIndex()
        if step == Step.CHOOSE:
            self.choose.zone.focus()
        elif step == Step.VOICE:
            self.voice.name.setFocus()
        elif step == Step.RESULT:
            self.result.write.setFocus()

    def show_problem(self, problem: Problem | None) -> None:
        """Show what went wrong and what to do; None when it is settled."""
        self.banner.show_problem(problem)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Files and folders of this computer may be dropped anywhere on the page."""
        if dropped_paths(event.mimeData()):
            event.acceptProposedAction()
            self.choose.zone.show_over(True)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        """They were carried away again."""
        self.choose.zone.show_over(False)

    def dropEvent(self, event: QDropEvent) -> None:
        """Take in what was dropped."""
        self.choose.zone.show_over(False)
        paths = dropped_paths(event.mimeData())
        if paths:
            event.acceptProposedAction()
            self.dropped.emit(paths)
