"""What ended a child process, in words a person understands."""

from __future__ import annotations

import signal
from pathlib import Path

_CRASHES = {"SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGSYS", "SIGTRAP"}
_VMSTAT = Path("/proc/vmstat")
# Windows reports a crash as an NTSTATUS with the two top bits set, e.g. 0xC0000005.
_NTSTATUS_ERROR = 0xC0000000


def memory_kills() -> int | None:
    """How many processes this system has killed for want of memory so far; None where it does not say."""
    try:
        lines = _VMSTAT.read_text().splitlines()
    except OSError:
        return None
    counts = [line.split()[1] for line in lines if line.startswith("oom_kill ")]
    return int(counts[0]) if counts else None


def in_words(returncode: int, *, memory_kills_before: int | None, memory_kills_after: int | None) -> str:
    """A clause that completes "it …": what a process that ended with ``returncode`` died of.

    "Out of memory" is said only when the process was killed and the system counted such a kill meanwhile.
    """
    if returncode == 0:
        return "ended by itself"
    if 0 < returncode < _NTSTATUS_ERROR:
        return f"ended with exit code {returncode}"
    if returncode >= _NTSTATUS_ERROR:
        return f"crashed (0x{returncode:08X})"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = ""
    number = f"signal {-returncode}"
    if name == "SIGKILL":
        if (
            None not in (memory_kills_before, memory_kills_after)
            and memory_kills_before != memory_kills_after
        ):
            return f"was killed because the computer ran out of memory ({number})"
        return f"was killed ({number})"
    if name == "SIGILL":
        return f"crashed on an instruction this processor does not have ({number})"
    if name in _CRASHES:
        return f"crashed ({number}, {name})"
    return f"was ended from outside ({number})"
