from __future__ import annotations

import os
import queue
import signal
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from app.errors import KnownError
from app.logfile import LogFile
from app.workers.process import Child, Ending, worker_command
from engine.messages import EVENTS, REQUESTS, Generate, Load, Ready

SCRIPT = str(Path(__file__).with_name("fake_engine_process.py"))
WAIT = 20.0


class Running:
    """A child and what was heard of it."""

    def __init__(self, tmp_path: Path, *arguments: str, command: list[str] | None = None) -> None:
        self.heard: queue.Queue[object] = queue.Queue()
        self.child = Child(
            command or [sys.executable, SCRIPT, *arguments],
            requests=REQUESTS,
            events=EVENTS,
            log=LogFile(tmp_path / "child.log"),
            on_event=self.heard.put,
            on_end=self.heard.put,
        )

    def next(self) -> object:
        return self.heard.get(timeout=WAIT)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(code)]


def test_a_closed_child_ends_by_itself_and_says_so_once(tmp_path: Path) -> None:
    running = Running(tmp_path)
    running.child.send(Load("good.gguf"))
    assert isinstance(running.next(), Ready)
    running.child.close()
    running.child.close()
    assert running.next() == Ending("ended by itself", expected=True)
    assert not running.child.alive
    assert running.heard.empty()


def test_a_child_that_ignores_everything_is_killed(tmp_path: Path) -> None:
    running = Running(tmp_path, "--deaf", "--ignores-signals")
    running.child.send(Load("good.gguf"))
    assert isinstance(running.next(), Ready)
    running.child.close(patience=0.2)
    ending = running.next()
    assert isinstance(ending, Ending)
    assert ending.expected
    assert not running.child.alive


def test_sending_to_a_dead_child_is_told_by_its_ending_only(tmp_path: Path) -> None:
    running = Running(tmp_path)
    os.kill(running.child.pid, signal.SIGKILL)
    ending = running.next()
    running.child.send(Load("good.gguf"))
    assert isinstance(ending, Ending)
    assert not ending.expected
    assert ending.reason.startswith("was killed")


def test_an_error_of_the_listener_ends_the_child_and_is_logged(tmp_path: Path) -> None:
    heard: queue.Queue[Ending] = queue.Queue()

    def fail(event: object) -> None:
        raise ZeroDivisionError("a bug of the listener")

    child = Child(
        [sys.executable, SCRIPT],
        requests=REQUESTS,
        events=EVENTS,
        log=LogFile(tmp_path / "child.log"),
        on_event=fail,
        on_end=heard.put,
    )
    child.send(Load("good.gguf"))
    assert "error in this program" in heard.get(timeout=WAIT).reason
    assert "a bug of the listener" in (tmp_path / "child.log").read_text()


def test_what_a_child_prints_is_logged_privately_and_within_bounds(tmp_path: Path) -> None:
    running = Running(
        tmp_path,
        command=python("""
            import sys
            for number in range(60_000):
                print("line", number, "x" * 40, file=sys.stderr)
        """),
    )
    assert isinstance(running.next(), Ending)
    log, former = tmp_path / "child.log", tmp_path / "child.log.1"
    assert log.stat().st_size <= 1024 * 1024
    assert former.stat().st_size <= 1024 * 1024
    assert not (tmp_path / "child.log.2").exists()
    assert "line 59999 " in log.read_text()
    if os.name == "posix":
        assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_broken_line_is_not_copied_into_the_log(tmp_path: Path) -> None:
    running = Running(tmp_path, command=python("print('a sentence of the person', flush=True)"))
    assert running.next() == Ending("sent something that is no message", expected=False)
    assert "sentence" not in (tmp_path / "child.log").read_text()


def test_a_large_request_arrives_whole(tmp_path: Path) -> None:
    running = Running(tmp_path)
    long = Generate(1, turns=())
    running.child.send(Load("x" * 3_000_000))
    assert isinstance(running.next(), Ready)
    running.child.send(long)
    running.child.close()


def test_a_program_that_does_not_exist_is_a_known_error(tmp_path: Path) -> None:
    with pytest.raises(KnownError, match="no-such-program"):
        Running(tmp_path, command=["/no-such-program"])


def test_no_child_outlives_the_program_however_that_ends(tmp_path: Path) -> None:
    program = f"""
        import sys, time
        from pathlib import Path
        from app.logfile import LogFile
        from app.workers.process import Child
        from engine.messages import EVENTS, REQUESTS, Load

        def ready(event):
            print(child.pid, flush=True)

        child = Child([sys.executable, {SCRIPT!r}], requests=REQUESTS, events=EVENTS,
                      log=LogFile(Path({str(tmp_path)!r}) / "log"), on_event=ready, on_end=print)
        child.send(Load("good.gguf"))
        if sys.argv[1:] == ["leave"]:
            time.sleep(0.2)
            sys.stdin.readline()
        else:
            time.sleep(600)
    """
    for how in ("leave", "killed"):
        with subprocess.Popen(
            [*python(program), how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as parent:
            assert parent.stdout is not None
            pid = int(parent.stdout.readline())
            if how == "killed":
                parent.kill()
            else:
                parent.communicate("\n", timeout=WAIT)
        assert gone(pid), f"the child outlived a program that was {how}"


@pytest.mark.skipif(sys.platform == "win32", reason="signals of a terminal are POSIX")
def test_ctrl_c_in_the_terminal_does_not_reach_the_child(tmp_path: Path) -> None:
    running = Running(tmp_path)
    assert os.getpgid(running.child.pid) != os.getpgid(0)
    running.child.close()


def test_the_frozen_binary_calls_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    assert worker_command("engine")[1:] == ["-P", "-m", "engine.serve"]
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert worker_command("engine") == [sys.executable, "--worker", "engine"]


def gone(pid: int) -> bool:
    """Whether the process ends within some seconds; one that waits to be reaped counts as gone."""
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        status = Path(f"/proc/{pid}/stat")
        if status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return True
        time.sleep(0.02)
    return False
