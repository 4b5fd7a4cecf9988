"""Learning a voice: one run of the calibrate process, its results stored as they come."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import queue
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.errors import KnownError
from app.history import records
from app.logfile import LogFile
from app.models import Model
from app.places import Places
from app.workers.process import Child, Ending, worker_command
from app.workers.voices import RUN, WORKSHOP, check_name, sweep
from calibrate.messages import (
    EVENTS,
    REQUESTS,
    Failed,
    InsightWritten,
    Job,
    JobDocument,
    JobPassage,
    Learned,
    Likeness,
    Notice,
    PairMade,
    Progress,
    Settings,
    Stop,
)

if TYPE_CHECKING:
    from app.history.store import Store

LearningEvent = Progress | Notice | InsightWritten | PairMade
OnLearningEvent = Callable[[LearningEvent], None]

FEWEST_WORDS = 300
ENOUGH_WORDS = 3000
NEEDED_PACKAGES = ("torch", "transformers", "accelerate")
HOW_TO_ADD = "pip install 'idiolect-desktop[calibrate]'"

# How long a run may take to reach a safe point after "stop"; a step of training takes seconds.
_PATIENCE_SECONDS = 30.0
# Weights are read from local files only: nothing may be asked of a network, or reported to one.
_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


class Stopped(Exception):  # noqa: N818 - asked for, so no error
    """The run was stopped on request; every pair made so far is kept and the next run goes on from there."""


@dataclass(frozen=True)
class LearnResult:
    """A voice that was learnt. ``files`` are absolute paths by kind; ``notices`` what the person should
    know about how sure the result is."""

    voice: str
    run_id: int
    pairs: int
    seconds: float
    strength: float
    likeness: Likeness
    files: dict[str, Path]
    report: dict[str, str]
    notices: tuple[str, ...]


def require_extra() -> None:
    """Raise KnownError with the one command to run, unless what learning needs is installed.

    Looks the packages up without importing them: that would take seconds and a gigabyte.
    """
    missing = [name for name in NEEDED_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise KnownError(
            f"Learning a voice needs packages that are not installed ({', '.join(missing)}). Add them with:\n"
            f"  {HOW_TO_ADD}"
        )


class Learning:
    """Runs of the calibrate process on one store, one at a time. The store must be open for writing."""

    def __init__(self, store: Store, places: Places, *, command: Sequence[str] | None = None) -> None:
        """``command`` runs the process; by default the one that belongs to this program, whose packages are
        checked first."""
        self._store, self._places = store, places
        self._command = list(command) if command is not None else None
        self._log = LogFile(places.logs / "calibrate.log")
        self._stop = threading.Event()

    def stop(self) -> None:
        """Stop the run under way, from any thread or a signal handler; `run` raises `Stopped` soon."""
        self._stop.set()

    def run(
        self,
        voice_name: str,
        *,
        model: Model,
        settings: Settings,
        on_event: OnLearningEvent,
        source_ids: Collection[int] | None = None,
    ) -> LearnResult:
        """Learn ``voice_name`` from the history, or from the sources ``source_ids`` only; returns at the end.

        Events come from the calling thread. Pairs that earlier runs made are used again. Raises `Stopped`,
        and KnownError for too little text, missing packages, and a run that failed for a known reason.
        """
        self._stop.clear()
        voice_name = check_name(voice_name)
        if self._command is None:
            require_extra()
        documents = self._store.training_documents(source_ids)
        notices = _check_amount(sum(passage.words for each in documents for passage in each.passages))
        for text in notices:
            on_event(Notice(text))
        run_id = self._store.start_run(
            voice_name,
            model.id,
            dataclasses.asdict(settings),
            sorted({document.source_id for document in documents}),
        )
        workshop = self._workshop(run_id)
        job = Job(
            voice=voice_name,
            model_path=str(model.path),
            weights_path=str(model.weights),
            documents=tuple(_job_document(document) for document in documents),
            output_dir=str(workshop),
            settings=settings,
            made=tuple(_pair_made(pair) for pair in self._store.pairs(voice_name)),
        )
        try:
            learned = self._learn(run_id, job, notices, on_event)
            files = self._keep(run_id, workshop, learned.files)
            self._store.finish_run(
                run_id,
                files,
                learned.strength,
                _likeness_record(learned.likeness),
                learned.report,
                learned.seconds,
            )
        except BaseException as error:
            # Also on KeyboardInterrupt: no run is left looking as if it still went on.
            self._store.fail_run(run_id, "stopped" if isinstance(error, Stopped) else str(error))
            raise
        finally:
            sweep(self._store, self._places)
        return LearnResult(
            voice=voice_name,
            run_id=run_id,
            pairs=learned.pairs,
            seconds=learned.seconds,
            strength=learned.strength,
            likeness=learned.likeness,
            files={kind: self._places.voices / name for kind, name in files.items()},
            report=learned.report,
            notices=tuple(notices),
        )

    def _learn(self, run_id: int, job: Job, notices: list[str], on_event: OnLearningEvent) -> Learned:
        """Run the process to its end, storing what comes; notices are added to ``notices``."""
        heard: queue.SimpleQueue[LearningEvent | Learned | Failed | Ending] = queue.SimpleQueue()
        child = Child(
            self._command or worker_command("calibrate"),
            requests=REQUESTS,
            events=EVENTS,
            log=self._log,
            on_event=heard.put,
            on_end=heard.put,
            environment=_ENVIRONMENT,
        )
        give_up_at: float | None = None
        try:
            child.send(job)
            while True:
                if self._stop.is_set() and give_up_at is None:
                    child.send(Stop())
                    give_up_at = time.monotonic() + _PATIENCE_SECONDS
                if give_up_at is not None and time.monotonic() > give_up_at:
                    raise Stopped
                try:
                    event = heard.get(timeout=0.2)
                except queue.Empty:
                    continue
                match event:
                    case Learned():
                        return event
                    case Failed() | Ending():
                        raise self._failure(event)
                    case PairMade():
                        self._store.add_pair(run_id, _pair_record(event))
                    case InsightWritten(text):
                        self._store.set_insight(run_id, text)
                    case Notice(text):
                        notices.append(text)
                    case Progress():
                        pass
                on_event(event)
        finally:
            child.close(1.0)

    def _failure(self, event: Failed | Ending) -> Exception:
        if self._stop.is_set():
            return Stopped()
        if isinstance(event, Ending):
            return KnownError(
                f"The learning process {event.reason} before the voice was complete. The pairs made so far "
                f"are kept: learn again to go on from there. Details are in {self._log.path}."
            )
        if event.stopped:
            return Stopped()
        if event.known:
            return KnownError(event.message)
        return RuntimeError(f"the calibrate process failed:\n{event.message}")

    def _workshop(self, run_id: int) -> Path:
        """An empty folder for this run's files; what a killed run left behind is removed."""
        sweep(self._store, self._places)
        workshop = self._places.voices / f"{WORKSHOP}{run_id}"
        workshop.mkdir(mode=0o700)
        return workshop

    def _keep(self, run_id: int, workshop: Path, made: dict[str, str]) -> dict[str, str]:
        """Move the files into place; their paths relative to the voices folder, by kind."""
        home = self._places.voices / f"{RUN}{run_id}"
        inside = {kind: Path(path).relative_to(workshop) for kind, path in made.items()}
        for path in inside.values():
            with contextlib.suppress(OSError):
                (workshop / path).chmod(0o600)
        workshop.rename(home)
        return {kind: (Path(home.name) / path).as_posix() for kind, path in inside.items()}


def _check_amount(words: int) -> list[str]:
    """What to say about the amount of text. Raises KnownError when it is too little to learn from."""
    if words == 0:
        raise KnownError(
            "There is no text of yours to learn from yet. Import some first: idiolect import PATH…"
        )
    if words < FEWEST_WORDS:
        raise KnownError(
            f"There are only {words:,} words of yours to learn from. Learning needs at least "
            f"{FEWEST_WORDS:,} and becomes reliable from {ENOUGH_WORDS:,}: import at least "
            f"{FEWEST_WORDS - words:,} words more."
        )
    if words < ENOUGH_WORDS:
        return [
            f"There are {words:,} words of yours to learn from. The voice will be rough, and its numbers "
            f"rest on little text; from about {ENOUGH_WORDS:,} words on it becomes reliable."
        ]
    return []


def _job_document(document: records.TrainingDocument) -> JobDocument:
    passages = tuple(JobPassage(passage.id, passage.text) for passage in document.passages)
    return JobDocument(document.id, document.title, document.written_at, passages)


def _pair_made(pair: records.Pair) -> PairMade:
    return PairMade(pair.key, pair.source, pair.passage_id, pair.kind, pair.query, pair.own, pair.plain)


def _pair_record(pair: PairMade) -> records.Pair:
    return records.Pair(pair.key, pair.source, pair.passage_id, pair.kind, pair.query, pair.own, pair.plain)


def _likeness_record(likeness: Likeness) -> records.Likeness:
    return records.Likeness(
        own=likeness.own,
        own_low=likeness.own_low,
        own_high=likeness.own_high,
        others=likeness.others,
        words_heldout=likeness.words_heldout,
        passages_heldout=likeness.passages_heldout,
    )
