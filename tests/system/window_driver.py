"""Works the real window as a person does: on an X server of its own, by mouse and keys, and by looking.

What stands where is asked of the accessibility bus, as a screen reader asks it; clicks and keys go through the
X server. So a control that has no accessible name cannot be found here either.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

EYES = Path(__file__).with_name("eyes.py")
_TOOLS = ("Xvfb", "xdotool", "import", "dbus-daemon")
_PYTHONS = ("/usr/bin/python3", sys.executable)


@functools.cache
def why_not() -> str:
    """Why the window cannot be worked on this computer; "" where it can."""
    if not sys.platform.startswith("linux"):
        return "the window is worked through an X server"
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        return f"{', '.join(missing)} not installed"
    if _seeing_python() is None:
        return "no Python with gi and Atspi 2.0 (Debian: python3-gi, gir1.2-atspi-2.0, at-spi2-core)"
    return ""


@functools.cache
def _seeing_python() -> str | None:
    check = "import gi; gi.require_version('Atspi', '2.0'); from gi.repository import Atspi"
    for python in _PYTHONS:
        if (
            shutil.which(python)
            and subprocess.run([python, "-c", check], capture_output=True).returncode == 0
        ):
            return python
    return None


@dataclass(frozen=True)
class Thing:
    """Something in sight: a control, a text, a row."""

    role: str
    name: str
    text: str
    x: int
    y: int
    width: int
    height: int
    enabled: bool
    focused: bool
    checked: bool

    @property
    def middle(self) -> tuple[int, int]:
        """The point a person would click."""
        return self.x + self.width // 2, self.y + self.height // 2


@contextlib.contextmanager
def screen(width: int = 1280, height: int = 860) -> Iterator[dict[str, str]]:
    """An X server and an accessibility bus; gives the environment for programs on it."""
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as pipe:
        display = f":{pipe.readline().strip()}"
    bus = subprocess.Popen(
        ["dbus-daemon", "--session", "--nofork", "--print-address"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"DISPLAY": display},
        text=True,
    )
    assert bus.stdout is not None
    environment = os.environ | {
        "DISPLAY": display,
        "DBUS_SESSION_BUS_ADDRESS": bus.stdout.readline().strip(),
        "QT_QPA_PLATFORM": "xcb",
        "QT_LINUX_ACCESSIBILITY_ALWAYS_ON": "1",
    }
    try:
        yield environment
    finally:
        for process in (bus, server):
            process.terminate()
            process.wait(10)


class Window:
    """The running program and its window."""

    def __init__(self, environment: dict[str, str], data: Path) -> None:
        """Start it on the data folder ``data``."""
        self._environment = environment
        self.started = time.monotonic()
        # A file: a pipe that nobody reads fills up with Qt's remarks, and the window then waits for it for ever.
        handle, name = tempfile.mkstemp(prefix="idiolect-window-")
        self._output = Path(name)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "app", "--data-dir", str(data)],
            env=environment,
            stdout=handle,
            stderr=subprocess.STDOUT,
        )
        os.close(handle)

    def look(self) -> list[Thing]:
        """Everything in sight."""
        python = _seeing_python()
        assert python is not None, why_not()
        # While widgets come and go, what was just listed may be gone: looking again helps.
        for _ in range(5):
            seen = subprocess.run(
                [python, "-W", "ignore", str(EYES), str(self.process.pid)],
                env=self._environment,
                capture_output=True,
                text=True,
                timeout=60,
            )
            if seen.returncode == 0:
                return [Thing(**each) for each in json.loads(seen.stdout)]
        raise AssertionError(f"the window cannot be looked at: {seen.stderr}")

    def wait(self, wanted: Callable[[list[Thing]], bool], what: str, seconds: float = 30.0) -> list[Thing]:
        """Look until ``wanted`` is in sight; what is in sight then."""
        until = time.monotonic() + seconds
        while True:
            things = self.look()
            if wanted(things):
                return things
            if self.process.poll() is not None:
                raise AssertionError(f"the window ended ({self.process.returncode}): {self.said}")
            if time.monotonic() > until:
                raise AssertionError(f"not in sight after {seconds:g} s: {what}\n{in_words(things)}")
            time.sleep(0.1)

    def find(self, name: str, role: str = "", seconds: float = 30.0) -> Thing:
        """The control called ``name``, waited for until it can be used."""

        def matching(things: list[Thing]) -> list[Thing]:
            return [each for each in things if each.name == name and role in each.role and each.enabled]

        things = self.wait(lambda things: bool(matching(things)), f"{role or 'control'} {name!r}", seconds)
        return matching(things)[0]

    def wait_for_text(self, text: str, seconds: float = 30.0) -> list[Thing]:
        """Wait until ``text`` is in sight."""
        return self.wait(lambda things: text in in_words(things), repr(text), seconds)

    def click(self, name: str, role: str = "", seconds: float = 30.0) -> None:
        """Click the control called ``name``."""
        x, y = self.find(name, role, seconds).middle
        self._do("mousemove", str(x), str(y), "click", "1")

    def type(self, text: str) -> None:
        """Type ``text`` where the keyboard is."""
        self._do("type", "--delay", "8", text)

    def key(self, *keys: str) -> None:
        """Press keys, named as xdotool names them."""
        self._do("key", *keys)

    def focus(self, title: str) -> None:
        """Give the keyboard to the window with this title, as a window manager would."""
        self._do("search", "--sync", "--onlyvisible", "--name", f"^{title}$", "windowfocus", "--sync")

    def picture(self, path: Path) -> None:
        """A picture of the whole screen."""
        subprocess.run(
            ["import", "-window", "root", str(path)], env=self._environment, check=True, timeout=60
        )

    def children(self, what: str) -> list[psutil.Process]:
        """The processes the window started that run the module ``what``."""
        found = psutil.Process(self.process.pid).children(recursive=True)
        return [each for each in found if what in each.cmdline()]

    def close(self) -> int:
        """Ask it to end, as the system does; its exit code."""
        self.process.terminate()
        return self.process.wait(40)

    def kill(self) -> None:
        """End it at once, without its noticing."""
        self.process.kill()
        self.process.wait(10)

    @property
    def said(self) -> str:
        """What it printed so far."""
        return self._output.read_text(errors="replace")

    def _do(self, *arguments: str) -> None:
        subprocess.run(["xdotool", *arguments], env=self._environment, check=True, timeout=60)


def in_words(things: list[Thing]) -> str:
    """Names and texts of ``things``, a line each."""
    return "\n".join(f"{each.name} {each.text}".strip() for each in things if each.name or each.text)
