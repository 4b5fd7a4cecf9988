from __future__ import annotations

import pytest

from app.workers.ending import in_words


def words(returncode: int, before: int | None = None, after: int | None = None) -> str:
    return in_words(returncode, memory_kills_before=before, memory_kills_after=after)


@pytest.mark.parametrize(
    ("returncode", "expected"),
    [
        (0, "ended by itself"),
        (1, "ended with exit code 1"),
        (-9, "was killed (signal 9)"),
        (-15, "was ended from outside (signal 15)"),
        (-11, "crashed (signal 11, SIGSEGV)"),
        (-6, "crashed (signal 6, SIGABRT)"),
        (-4, "crashed on an instruction this processor does not have (signal 4)"),
        (-250, "was ended from outside (signal 250)"),
        (0xC0000005, "crashed (0xC0000005)"),
    ],
)
def test_each_kind_of_ending_has_its_words(returncode: int, expected: str) -> None:
    assert words(returncode) == expected


def test_memory_is_blamed_only_when_the_system_counted_such_a_kill() -> None:
    assert "ran out of memory" in words(-9, before=3, after=4)
    assert "memory" not in words(-9, before=3, after=3)
    assert "memory" not in words(-9)
    assert "memory" not in words(-11, before=3, after=4)
