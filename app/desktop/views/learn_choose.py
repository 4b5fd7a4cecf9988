"""First step of learning: which writing to learn from, and how far it goes."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QProgressBar, QWidget

from app.desktop.icons import Icons
from app.desktop.presenters.learn import ImportOutcome, ImportProgress
from app.desktop.presenters.sources import SourcesShown
from app.desktop.presenters.wording import Amount, count
from app.desktop.theme import Space, Theme
from app.desktop.views.drop_zone import DropZone
from app.desktop.views.parts import button, column, label, restyle, row
from app.desktop.views.source_list import SourceList

_SHOWN_SKIPPED = 4
_MOST_SKIPPED = 60
_LEVELS = {Amount.NONE: "low", Amount.TOO_LITTLE: "low", Amount.SOME: "some"}


class ChoosePage(QWidget):
    """Emits ``chosen`` with paths, ``ticked`` with source ids, ``import_stopped`` and ``next_wanted``."""

    chosen = Signal(list)
    ticked = Signal(list, bool)
    import_stopped = Signal()
    next_wanted = Signal()

    def __init__(self, theme: Theme, icons: Icons) -> None:
        super().__init__()
        self.zone = DropZone(theme, icons)
        self.zone.chosen.connect(self.chosen)
        self.sources = SourceList()
        self.sources.ticked.connect(self.ticked)
        self.next = button("Continue", "primary")
        self.next.clicked.connect(self.next_wanted)
        self._build_reading()
        self._build_meter()
        self._outcome = QFrame()
        self._outcome.setProperty("kind", "notice")
        self._outcome_text = label("", wrap=True)
        inside = column(self._outcome)
        inside.setContentsMargins(Space.L, Space.M, Space.L, Space.M)
        inside.addWidget(self._outcome_text)
        foot = row(gap=Space.L)
        foot.addLayout(self._meter_column, 1)
        foot.addWidget(self.next)
        whole = column(self, gap=Space.M)
        self._whole = whole
        whole.addWidget(self.zone)
        whole.addWidget(self._reading)
        whole.addWidget(self._outcome)
        whole.addWidget(self.sources, 1)
        whole.addLayout(foot)
        self.show_importing(None)
        self.show_outcome(ImportOutcome())
        self.show_sources(SourcesShown())

    def show_sources(self, shown: SourcesShown) -> None:
        """List the writing there is, and say how far the ticked part goes."""
        has_any = bool(shown.folders)
        self.sources.show_sources(shown)
        self.sources.setVisible(has_any)
        self.zone.show_compact(has_any)
        self._whole.setStretchFactor(self.zone, 0 if has_any else 1)
        for part in (self._total, self._meter, self._verdict, self.next):
            part.setVisible(has_any)
        found = shown.sufficiency
        self._total.setText(
            f"{count(shown.words, 'word')} in {count(shown.documents, 'document')}, "
            f"cut into {count(shown.passages, 'passage')}"
        )
        self._verdict.setText(found.sentence)
        self._meter.setValue(round(found.share * 1000))
        restyle(self._meter, "level", _LEVELS.get(found.amount, "good"))
        self.next.setEnabled(found.can_learn)
        self.next.setToolTip("" if found.can_learn else found.sentence)

    def show_importing(self, progress: ImportProgress | None) -> None:
        """Show which file is being read; None when nothing is."""
        self._reading.setVisible(progress is not None)
        for part in (self.zone.files, self.zone.folder):
            part.setEnabled(progress is None)
        if progress is not None:
            at = f"{progress.done:,} of {progress.total:,}" if progress.total else ""
            self._reading_text.setText(f"Reading {progress.name or 'your writing'}… {at}")
            self._reading_bar.setRange(0, progress.total)
            self._reading_bar.setValue(progress.done)

    def show_outcome(self, outcome: ImportOutcome) -> None:
        """Say what came of reading, and name what could not be taken in, and why."""
        lines = [outcome.text] if outcome.text else []
        if outcome.skipped:
            lines += [f"{count(len(outcome.skipped), 'file')} left out:", *outcome.skipped[:_SHOWN_SKIPPED]]
        if len(outcome.skipped) > _SHOWN_SKIPPED:
            lines.append(f"… and {len(outcome.skipped) - _SHOWN_SKIPPED:,} more")
        self._outcome_text.setText("\n".join(lines))
        self._outcome.setToolTip("\n".join(outcome.skipped[:_MOST_SKIPPED]))
        self._outcome.setVisible(bool(lines))

    def _build_reading(self) -> None:
        self._reading = QWidget()
        self._reading_text = label("", "muted")
        self._reading_bar = QProgressBar()
        self._reading_bar.setTextVisible(False)
        self._reading_bar.setAccessibleName("Files read")
        cancel = button("Cancel", says="Cancel reading")
        cancel.clicked.connect(self.import_stopped)
        words = column(gap=Space.XS)
        words.addWidget(self._reading_text)
        words.addWidget(self._reading_bar)
        inside = row(self._reading, gap=Space.L)
        inside.addLayout(words, 1)
        inside.addWidget(cancel)

    def _build_meter(self) -> None:
        self._total = label("", "strong")
        self._verdict = label("", "muted", wrap=True)
        self._meter = QProgressBar()
        self._meter.setRange(0, 1000)
        self._meter.setTextVisible(False)
        self._meter.setAccessibleName("How far the chosen writing goes")
        self._meter_column = column(gap=Space.XS)
        for part in (self._total, self._meter, self._verdict):
            self._meter_column.addWidget(part)
