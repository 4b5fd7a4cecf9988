from __future__ import annotations

import ctypes

from app.modelstore import memory
from app.modelstore.memory import MemoryStatus, of_macos, of_posix, of_windows, shortage, size


def test_the_memory_of_this_computer_is_known() -> None:
    found = memory.total_memory()
    assert found is not None
    assert 2**27 < found < 2**50


def test_posix_counts_pages() -> None:
    said = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2_000_000}
    assert of_posix(said.__getitem__) == 8_192_000_000

    def unknown(name: str) -> int:
        raise ValueError("unrecognized configuration name")

    assert of_posix(unknown) is None
    assert of_posix(lambda name: -1) == 1
    assert of_posix(lambda name: -1 if name == "SC_PHYS_PAGES" else 4096) is None


def test_windows_fills_a_status_of_the_length_it_knows() -> None:
    def fill(status: MemoryStatus) -> int:
        assert status.length == 64 == ctypes.sizeof(status)
        status.total = 17_179_869_184
        return 1

    assert of_windows(fill) == 17_179_869_184
    assert of_windows(lambda status: 0) is None


def test_macos_prints_a_number() -> None:
    assert of_macos(lambda: "17179869184\n") == 17_179_869_184
    assert of_macos(lambda: "") is None

    def missing() -> str:
        raise FileNotFoundError("sysctl")

    assert of_macos(missing) is None


def test_a_model_may_take_most_of_the_memory_but_not_all() -> None:
    assert shortage(7_900_000_000, 10_000_000_000) == ""
    warning = shortage(8_100_000_000, 10_000_000_000)
    assert "8.1 GB" in warning
    assert "10.0 GB" in warning
    assert shortage(10**15, None) == ""


def test_sizes_are_said_as_people_say_them() -> None:
    assert [size(count) for count in (98_362_432, 807_694_464, 999_600_000, 4_920_739_232)] == [
        "98 MB",
        "808 MB",
        "1.0 GB",
        "4.9 GB",
    ]
