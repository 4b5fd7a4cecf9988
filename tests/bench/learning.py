"""Learning in a process of its own, so that its memory and its time are its own.

Run as ``python -m tests.bench.learning``: one `Assignment` in on stdin, an `Artefact` or a `Failed` out on stdout.
`learn_apart` starts such a process and watches it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from calibrate.messages import Job
from calibrate.plan import PLANS, Plan
from engine.wire import Vocabulary, WireError, sender, take_stdio
from tests.bench.artefact import Artefact
from tests.bench.lesson import Lesson, NotEnoughError
from tests.bench.methods import method_named

_ROOT = Path(__file__).parents[2]
_LOOK_EVERY_SECONDS = 0.05
# Nothing is asked of a network, and no bars are drawn.
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
}


@dataclass(frozen=True)
class Assignment:
    """Learn by ``method`` from the history in ``job``. ``plan`` is what the job's budget buys."""

    method: str
    plan: Plan
    job: Job


@dataclass(frozen=True)
class Failed:
    """Nothing was learnt. ``known``: the method says why; else it is a bug, and stderr has the traceback."""

    known: bool
    message: str


@dataclass(frozen=True)
class Cost:
    """``seconds`` from the start of the process to its end, ``peak_bytes`` the most memory it held (RSS)."""

    seconds: float
    peak_bytes: int


MESSAGES = Vocabulary([Assignment, Artefact, Failed])


def learn_apart(assignment: Assignment) -> tuple[Artefact | Failed, Cost]:
    """Learn in a process of its own; what it learnt, and what that cost. Models are loaded within the time."""
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.learning"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=_ROOT,
        env=os.environ | ENVIRONMENT,
    )
    try:
        with _Watch(process.pid) as watch:
            line, _ = process.communicate(MESSAGES.encode(assignment))
    finally:
        process.kill()
    cost = Cost(time.monotonic() - start, watch.peak)
    try:
        outcome = MESSAGES.decode(line)
    except WireError:
        return Failed(False, f"the learning process ended with code {process.returncode}"), cost
    assert isinstance(outcome, Artefact | Failed)
    return outcome, cost


class _Watch:
    """Looks at the resident memory of a process every 0.05 s. A peak shorter than that may be missed."""

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self._pid = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        import psutil  # type: ignore[import-untyped,import-not-found,unused-ignore]

        try:
            process = psutil.Process(self._pid)
            while not self._stop.is_set():
                self.peak = max(self.peak, int(process.memory_info().rss))
                self._stop.wait(_LOOK_EVERY_SECONDS)
        except psutil.Error:  # it has ended
            return


def _learn(assignment: Assignment) -> Artefact | Failed:
    # The product's run looks its budget up here; a quick benchmark has a budget of its own.
    PLANS[assignment.job.settings.budget] = assignment.plan
    try:
        return method_named(assignment.method).learn(Lesson(assignment.job, assignment.plan))
    except NotEnoughError as error:
        return Failed(True, str(error))
    except ValueError as error:
        if _is_known(error):
            return Failed(True, str(error))
        raise


def _is_known(error: ValueError) -> bool:
    """Whether the product's run says by ``error`` that there is no voice to be had, rather than that it broke."""
    from calibrate.pipeline import DisagreementError, TooLittleError

    return isinstance(error, TooLittleError | DisagreementError) or str(error) == "the edit changes nothing"


def main() -> None:
    """Serve one assignment."""
    requests, replies = take_stdio()
    assignment = MESSAGES.decode(requests.readline())
    sender(MESSAGES, replies)(_learn(assignment))


if __name__ == "__main__":
    main()
