from __future__ import annotations

from pathlib import Path

from app.logfile import LogFile


def test_a_full_log_moves_aside_and_only_one_old_one_is_kept(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "x.log", largest=100)
    for number in range(30):
        log.write(f"{number:02d} {'x' * 37}\n".encode())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.log", "x.log.1"]
    assert all(path.stat().st_size <= 100 for path in tmp_path.iterdir())
    assert "29 x" in log.path.read_text()


def test_a_bug_is_logged_with_its_traceback(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "x.log")
    try:
        raise ZeroDivisionError("deep down")
    except ZeroDivisionError as error:
        log.bug(error)
    assert "Traceback" in log.path.read_text()
    assert "deep down" in log.path.read_text()


def test_a_log_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    LogFile(tmp_path / "no such folder" / "x.log").note("dropped")
