"""Learn my style, as a flow: choose writing, name the voice, watch it being learnt, see how well it went."""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import QObject, Signal

from app.desktop.bridge import Background, GuiThread, Throttle
from app.desktop.presenters.problem import Problem, Troubles
from app.desktop.presenters.sources import SourcesShown, shown
from app.desktop.presenters.wording import count
from app.errors import KnownError
from app.history.records import Source
from app.models import Model
from app.wording import stage_name, time_left
from app.workers.learning import LearnResult, OnLearningEvent, Stopped
from app.workers.voices import check_name
from calibrate.messages import STAGES, InsightWritten, Notice, PairMade, Progress, Settings

if TYPE_CHECKING:
    from app.history.importer import ImportResult

DEFAULT_NAME = "My voice"
TRY_AGAIN = "Try again"


class LearningService(Protocol):
    """What the presenter needs of `app.workers.learning.Learning`."""

    def run(
        self, voice_name: str, *, model: Model, settings: Settings, on_event: OnLearningEvent,
        source_ids: Collection[int] | None = None,
    ) -> LearnResult: ...  # fmt: skip

    def stop(self) -> None: ...


OnImport = Callable[[Path, int, int], None]


@dataclass(frozen=True)
class LearnServices:
    """What the flow works with. ``suffixes``: of the files that can be read. ``import_paths``: paths, whom to
    tell (path, done, total), whether to stop."""

    suffixes: Sequence[str]
    sources: Callable[[], Sequence[Source]]
    import_paths: Callable[[Sequence[Path], OnImport, Callable[[], bool]], ImportResult]
    learning: LearningService
    find_model: Callable[[], Model]
    voice_names: Callable[[], Sequence[str]]


class Step(enum.IntEnum):
    """Where in the flow the person is."""

    CHOOSE = 0
    VOICE = 1
    LEARNING = 2
    RESULT = 3


@dataclass(frozen=True)
class ImportProgress:
    """``done`` of ``total`` files read; ``name`` is the one at hand."""

    name: str
    done: int
    total: int


@dataclass(frozen=True)
class LearnProgress:
    """The whole run: ``stage`` counts from 0, ``stages`` are their names, ``fraction`` is 0–1."""

    stage: int
    stages: tuple[str, ...]
    steps: str
    fraction: float
    time_left: str


@dataclass(frozen=True)
class ImportOutcome:
    """What came of an import: a sentence, or "" where the list says it all, and what was left out, a line
    each."""

    text: str = ""
    skipped: tuple[str, ...] = ()


class LearnPresenter(QObject):
    """Shows by signals, is asked by methods; every method returns at once."""

    step_changed = Signal(object)  # Step
    sources_changed = Signal(object)  # SourcesShown
    importing_changed = Signal(object)  # ImportProgress, or None when nothing is being read
    imported = Signal(object)  # ImportOutcome
    suffixes_known = Signal(tuple)
    voice_names_changed = Signal(tuple)  # of the names there are
    progress_changed = Signal(object)  # LearnProgress
    pair_made = Signal(object)  # PairMade
    insight_written = Signal(str)
    noticed = Signal(str)
    learnt = Signal(object)  # LearnResult
    running_changed = Signal(bool)
    problem_changed = Signal(object)  # Problem, or None

    def __init__(
        self, gui: GuiThread, importing: Background, learning: Background, troubles: Troubles
    ) -> None:
        """``importing`` and ``learning``: threads of their own, since both take long."""
        super().__init__()
        self._gui, self._importing, self._learning = gui, importing, learning
        self._troubles = troubles
        self._services: LearnServices | None = None
        self._sources: tuple[Source, ...] = ()
        self._unticked: set[int] = set()
        self._names: tuple[str, ...] = ()
        self._stop_import = threading.Event()
        self._waiting: list[Path] = []  # dropped before the store was open
        self._stopping = False
        self.step = Step.CHOOSE
        self.shown = SourcesShown()
        self.running = False
        self.importing = False
        self._read = Throttle(self._show_import, self)
        self._progressed = Throttle(self._show_progress, self)
        self._paired = Throttle(self.pair_made.emit, self)

    @property
    def voice_names(self) -> tuple[str, ...]:
        """The voices there are; learning under one of these names learns it again."""
        return self._names

    def connect_to(self, services: LearnServices) -> None:
        """Begin: show what the history holds."""
        self._services = services
        self.suffixes_known.emit(tuple(services.suffixes))
        self.refresh()
        if self._waiting:
            paths, self._waiting = self._waiting, []
            self.add(paths)

    def refresh(self) -> None:
        """Read the history and the names of the voices again."""
        if self._services is not None:
            self._importing.run(self._services.sources, self._show_sources, self._failed)
            self._importing.run(self._services.voice_names, self._show_names, self._failed)

    def add(self, paths: Sequence[Path]) -> None:
        """Take the files and folders at ``paths`` into the history."""
        if self._services is None:
            self._waiting.extend(paths)
            return
        if self.importing or not paths:
            return
        self.go_to(Step.CHOOSE)
        services = self._services
        self._stop_import.clear()
        self.importing = True
        self.problem_changed.emit(None)
        self.imported.emit(ImportOutcome())
        self.importing_changed.emit(ImportProgress("", 0, 0))

        def on_progress(path: Path, done: int, total: int) -> None:
            self._read.put(ImportProgress(path.name, done, total))

        self._importing.run(
            lambda: services.import_paths(paths, on_progress, self._stop_import.is_set),
            self._imported,
            self._not_imported,
        )

    def stop_import(self) -> None:
        """Read no further files; what was read stays."""
        self._stop_import.set()

    def tick(self, source_ids: Collection[int], ticked: bool) -> None:
        """Learn from these sources, or leave them out."""
        if ticked:
            self._unticked.difference_update(source_ids)
        else:
            self._unticked.update(source_ids)
        self._show_sources(self._sources)

    def go_to(self, step: Step) -> None:
        """Show ``step``. While a voice is being learnt, that is shown instead."""
        if self.running:
            step = Step.LEARNING
        if step != self.step:
            self.step = step
            self.step_changed.emit(step)

    def begin(self) -> None:
        """Show the flow from where it makes sense: from the start, unless something is under way."""
        if not self.running:
            self.problem_changed.emit(None)
            self.go_to(Step.CHOOSE)
            self.refresh()

    def start(self, name: str, budget: str) -> None:
        """Learn the voice ``name`` from the ticked sources."""
        if self._services is None or self.running:
            return
        try:
            name = check_name(name)
        except KnownError as error:
            self.problem_changed.emit(self._troubles.describe(error))
            return
        services, ticked = self._services, self.shown.ticked
        self._stopping = False
        self._set_running(True)
        self.problem_changed.emit(None)
        self.go_to(Step.LEARNING)
        self._show_progress(Progress(STAGES[0], 0, 0, 0.0, None))

        def learn() -> LearnResult:
            return services.learning.run(
                name,
                model=services.find_model(),
                settings=Settings(budget=budget),
                on_event=self._hear,
                source_ids=ticked,
            )

        self._learning.run(learn, self._learnt, self._not_learnt)

    def cancel(self) -> None:
        """Stop learning; the pairs made stay, and the next run goes on from there."""
        if self._services is not None and self.running and not self._stopping:
            self._stopping = True
            self._services.learning.stop()
            self.noticed.emit("Stopping at the next safe point…")

    def _hear(self, event: Progress | Notice | InsightWritten | PairMade) -> None:
        """Called from the learning thread."""
        match event:
            case Progress():
                self._progressed.put(event)
            case PairMade():
                self._paired.put(event)
            case InsightWritten(text):
                self._gui.post(lambda: self.insight_written.emit(text))
            case Notice(text):
                self._gui.post(lambda: self.noticed.emit(text))

    def _show_progress(self, event: Progress) -> None:
        stage = STAGES.index(event.stage) if event.stage in STAGES else 0
        steps = f"{event.done:,} of {event.total:,}" if event.total > 1 else ""
        names = tuple(stage_name(each) for each in STAGES)
        fraction = min(max(event.fraction, 0.0), 1.0)
        self.progress_changed.emit(
            LearnProgress(stage, names, steps, fraction, time_left(event.seconds_left))
        )

    def _learnt(self, result: LearnResult) -> None:
        self._end()
        self.go_to(Step.RESULT)
        self.learnt.emit(result)
        self.refresh()

    def _not_learnt(self, error: Exception) -> None:
        self._end()
        if isinstance(error, Stopped):
            kept = "Learning was stopped. What was prepared so far is kept: start again to go on from there."
            self.problem_changed.emit(Problem(kept))
        else:
            self.problem_changed.emit(self._troubles.describe(error, TRY_AGAIN))
        self.go_to(Step.VOICE)

    def _end(self) -> None:
        self._progressed.drop()
        self._paired.drop()
        self._set_running(False)

    def _set_running(self, running: bool) -> None:
        self.running = running
        self.running_changed.emit(running)

    def _show_import(self, progress: ImportProgress) -> None:
        if self.importing:
            self.importing_changed.emit(progress)

    def _imported(self, result: ImportResult) -> None:
        self._import_ended()
        skipped = tuple(f"{each.path.name} {each.reason}" for each in result.skipped)
        self.imported.emit(ImportOutcome(_outcome(result), skipped))

    def _not_imported(self, error: Exception) -> None:
        self._import_ended()
        self._failed(error)

    def _import_ended(self) -> None:
        self.importing = False
        self._read.drop()
        self.importing_changed.emit(None)
        self.refresh()

    def _show_sources(self, sources: Sequence[Source]) -> None:
        self._sources = tuple(sources)
        self.shown = shown(self._sources, self._unticked)
        self.sources_changed.emit(self.shown)

    def _show_names(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self.voice_names_changed.emit(self._names)

    def _failed(self, error: Exception) -> None:
        self.problem_changed.emit(self._troubles.describe(error))


def _outcome(result: ImportResult) -> str:
    if result.stopped:
        return f"Reading was stopped. {count(result.added, 'file')} had been read; they are kept."
    if result.added == 0 and result.unchanged > 0:
        return "Nothing new: all of it is in your writing already."
    if result.added == 0 and not result.skipped:
        return "No writing was found there."
    return ""
