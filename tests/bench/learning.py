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
from typing import BinaryIO

from calibrate.messages import Job
from calibrate.plan import PLANS, Plan
from engine.wire import Vocabulary, WireError, sender, take_stdio
from tests.bench.artefact import Artefact
from tests.bench.environment import ENVIRONMENT as ENVIRONMENT
from tests.bench.lesson import Lesson, NotEnoughError
from tests.bench.methods import method_named

_ROOT = Path(__file__).parents[2]
_LOOK_EVERY_SECONDS = 0.05


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
    """``seconds`` from the start of the process to its reply, ``peak_bytes`` the most memory it held (RSS)."""

    seconds: float
    peak_bytes: int


MESSAGES = Vocabulary([Assignment, Artefact, Failed])


def learn_apart(assignment: Assignment) -> tuple[Artefact | Failed, Cost]:
    """Learn in a process of its own; what it learnt, and what that cost. Models are loaded within the time."""
    start = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bench.learning"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=_ROOT,
        env=ENVIRONMENT | os.environ,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            with _Watch(process.pid) as watch:
                process.stdin.write(MESSAGES.encode(assignment))
                process.stdin.flush()  # and left open: when it closes, the process ends
                line = process.stdout.readline()
        finally:
            process.kill()
    cost = Cost(time.monotonic() - start, watch.peak)
    try:
        outcome = MESSAGES.decode(line)
    except WireError:
        return Failed(False, "the learning process ended before it replied; its error is above"), cost
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
    """Serve one assignment; ends at once when stdin closes, so that it does not outlive who wants to know."""
    requests, replies = take_stdio()
    assignment = MESSAGES.decode(requests.readline())
    threading.Thread(target=_end_with, args=(requests,), daemon=True).start()
    sender(MESSAGES, replies)(_learn(assignment))


def _end_with(requests: BinaryIO) -> None:
    requests.read()
    os._exit(1)


if __name__ == "__main__":
    main()
