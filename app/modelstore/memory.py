"""Whether a model fits into the memory of this computer.

Goes in: what it needs. Comes out: a sentence to warn with, or nothing.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable

# What a model may take of the memory there is; the rest is for the system and other programs.
_SHARE = 0.8


class MemoryStatus(ctypes.Structure):
    """What Windows says of its memory (MEMORYSTATUSEX)."""

    _fields_ = (
        ("length", ctypes.c_uint32),
        ("load", ctypes.c_uint32),
        ("total", ctypes.c_uint64),
        ("others", ctypes.c_uint64 * 6),
    )


def total_memory() -> int | None:
    """The bytes of memory in this computer; None when the system does not say."""
    if sys.platform == "win32":
        ask = ctypes.windll.kernel32.GlobalMemoryStatusEx
        return of_windows(lambda status: int(ask(ctypes.byref(status))))
    return of_macos(_sysctl) if sys.platform == "darwin" else of_posix(os.sysconf)


def of_posix(ask: Callable[[str], int]) -> int | None:
    """The memory by what ``ask`` (`os.sysconf`) says of its pages."""
    try:
        total = ask("SC_PAGE_SIZE") * ask("SC_PHYS_PAGES")
    except (ValueError, OSError):  # a system that does not know these names
        return None
    return total if total > 0 else None


def of_windows(fill: Callable[[MemoryStatus], int]) -> int | None:
    """The memory by what ``fill`` (GlobalMemoryStatusEx) writes; it returns 0 when it could not."""
    status = MemoryStatus(length=ctypes.sizeof(MemoryStatus))
    return int(status.total) if fill(status) else None


def of_macos(ask: Callable[[], str]) -> int | None:
    """The memory by what ``ask`` (sysctl) prints."""
    try:
        return int(ask())
    except (ValueError, OSError, subprocess.SubprocessError):
        return None


def _sysctl() -> str:
    command = ["/usr/sbin/sysctl", "-n", "hw.memsize"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout


def shortage(needed: int, total: int | None) -> str:
    """A warning when ``needed`` bytes are more than a computer with ``total`` can give; else ""."""
    if total is None or needed <= _SHARE * total:
        return ""
    return (
        f"It needs about {size(needed)} of memory, and this computer has {size(total)}: it will be very slow "
        "or not run at all. A smaller model will serve you better."
    )


def size(count: int) -> str:
    """``count`` bytes as a person says it: ``98 MB``, ``4.9 GB``."""
    return f"{count / 1e9:.1f} GB" if count >= 999_500_000 else f"{count / 1e6:.0f} MB"
