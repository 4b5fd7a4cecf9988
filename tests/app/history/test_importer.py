from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.history.importer import ImportResult, import_paths
from app.history.records import Likeness, Pair
from app.history.store import Store
from tests.app.history.writing import prose, word_file

posix_only = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows keeps links, pipes and names otherwise"
)


def reasons(result: ImportResult) -> dict[str, str]:
    """Why each file was left out, by its name."""
    return {skipped.path.name: skipped.reason for skipped in result.skipped}


def names(store: Store) -> list[str]:
    return [Path(source.path).name for source in store.sources()]


def test_files_and_folders_go_in_with_all_that_is_below_them(store: Store, writing: Path) -> None:
    (writing / "2019" / "deep").mkdir(parents=True)
    (writing / "2019" / "deep" / "a.md").write_text(prose(100, "Anna"))
    (writing / "2019" / "b.docx").write_bytes(word_file(prose(100, "Ben")))
    (writing / "c.TXT").write_text(prose(100, "Cora"))
    (writing / "photo.jpg").write_bytes(b"\xff\xd8")
    alone = writing.parent / "alone.txt"
    alone.write_text(prose(100, "Dan"))
    result = import_paths(store, [writing, alone])
    assert (result.added, result.unchanged, result.skipped, result.stopped) == (4, 0, (), False)
    assert (result.sources, result.documents, result.passages, result.words) == (4, 4, 4, 400)
    kinds = {Path(source.path).name: source.kind for source in store.sources()}
    assert kinds == {"a.md": "md", "b.docx": "docx", "c.TXT": "txt", "alone.txt": "txt"}


def test_files_come_in_the_order_people_number_them(store: Store, writing: Path) -> None:
    for number in (10, 9, 1):
        (writing / f"letter {number}.txt").write_text(prose(50, f"N{number}"))
    met: list[tuple[str, int, int]] = []
    import_paths(store, [writing], lambda path, done, files: met.append((path.name, done, files)))
    assert met == [
        ("letter 1.txt", 0, 3),
        ("letter 9.txt", 1, 3),
        ("letter 10.txt", 2, 3),
        ("letter 10.txt", 3, 3),
    ]
    assert names(store) == ["letter 1.txt", "letter 9.txt", "letter 10.txt"]


def test_importing_twice_changes_nothing(store: Store, writing: Path) -> None:
    (writing / "a.txt").write_text(prose(100))
    first = import_paths(store, [writing])
    before = (store.sources(), store.training_documents())
    run = store.start_run("mine", "tiny", {}, [before[0][0].id])
    again = import_paths(store, [writing, writing / "a.txt", writing / "." / "a.txt"])
    assert (first.added, again.added, again.unchanged) == (1, 0, 1)
    assert (store.sources(), store.training_documents()) == before
    finish(store, run)
    assert not store.voice("mine").out_of_date


def finish(store: Store, run: int) -> None:
    store.finish_run(run, {}, 1.0, Likeness(-0.4, -0.5, -0.3, -0.1, 900, 7), {}, 1.0)


def test_a_changed_file_takes_the_place_of_what_it_held(store: Store, writing: Path) -> None:
    file = writing / "a.txt"
    kept, gone, new = (prose(150, mark) for mark in ("Anna", "Ben", "Cora"))
    file.write_text(f"{kept}\n\n{gone}")
    import_paths(store, [file])
    (source,) = store.sources()
    first, second = store.training_documents()[0].passages
    run = store.start_run("mine", "tiny", {}, [source.id])
    for passage in (first, second):
        store.add_pair(
            run, Pair(f"k{passage.id}", "history", passage.id, "topic", "q", passage.text, "plain")
        )
    finish(store, run)

    file.write_text(f"{new}\n\n{kept}")
    result = import_paths(store, [file])
    assert (result.added, result.unchanged, result.sources, result.documents) == (1, 0, 1, 1)
    (document,) = store.training_documents()
    assert [passage.text for passage in document.passages] == [new, kept]
    assert document.passages[1].id == first.id, "what is still in the file keeps its work"
    assert [pair.key for pair in store.pairs("mine")] == [f"k{first.id}"]
    assert store.voice("mine").out_of_date
    assert store.sources()[0].id == source.id


def test_a_file_that_cannot_be_read_any_more_leaves_what_it_held(store: Store, writing: Path) -> None:
    file = writing / "a.txt"
    file.write_text(prose(100))
    import_paths(store, [file])
    file.write_bytes(b"")
    assert reasons(import_paths(store, [file])) == {"a.txt": "is empty"}
    assert store.totals().words == 100


def test_what_cannot_be_read_is_named_and_the_rest_goes_in(store: Store, writing: Path) -> None:
    (writing / "broken.docx").write_bytes(b"PK\x03\x04 torn")
    (writing / "empty.md").write_bytes(b"")
    (writing / "blank.txt").write_text(" \n ")
    (writing / "picture.txt").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    (writing / "good.txt").write_text(prose(100))
    result = import_paths(
        store, [writing, writing / "gone.txt", writing / "none" / "gone.md", writing.parent / "x.pdf"]
    )
    assert result.added == 1
    assert names(store) == ["good.txt"]
    assert reasons(result) == {
        "broken.docx": "is damaged, or no Word document",
        "empty.md": "is empty",
        "blank.txt": "holds no text",
        "picture.txt": "is no text",
        "gone.txt": "is not there",
        "gone.md": "is not there",
        "x.pdf": "is not there",
    }


def test_a_file_of_another_kind_is_named_when_it_was_asked_for(store: Store, writing: Path) -> None:
    (writing / "a.pdf").write_bytes(b"%PDF")
    assert import_paths(store, [writing]).skipped == ()
    assert reasons(import_paths(store, [writing / "a.pdf"])) == {
        "a.pdf": "is of a kind Idiolect does not read; it reads .txt, .md, .docx"
    }


def test_hidden_files_and_folders_and_lock_files_are_passed_over(store: Store, writing: Path) -> None:
    (writing / ".git").mkdir()
    for name in (".git/a.txt", ".hidden.txt", "~$letter.docx"):
        (writing / name).write_text(prose(100, "Hidden"))
    (writing / "seen.txt").write_text(prose(100, "Seen"))
    result = import_paths(store, [writing])
    assert (names(store), result.skipped) == (["seen.txt"], ())
    import_paths(store, [writing / ".hidden.txt"])
    assert names(store) == [".hidden.txt", "seen.txt"], "asked for by name it is taken"


@posix_only
def test_links_are_followed_once_and_circles_come_to_an_end(store: Store, writing: Path) -> None:
    folder = writing / "letters"
    folder.mkdir()
    (folder / "a.txt").write_text(prose(100))
    (folder / "up").symlink_to("..")
    (folder / "same").symlink_to(folder)
    (folder / "again.txt").symlink_to("a.txt")
    (folder / "circle").symlink_to("circle")
    (folder / "circle.txt").symlink_to("circle.txt")
    (folder / "dangling.txt").symlink_to("nowhere.txt")
    result = import_paths(store, [writing])
    assert names(store) == ["a.txt"]
    assert (result.added, result.unchanged) == (1, 0)
    told = reasons(result)
    assert set(told) == {"circle.txt", "dangling.txt"}
    assert told["dangling.txt"] == "is not there (any more)"
    assert set(reasons(import_paths(store, [folder / "circle.txt"]))) == {"circle.txt"}


@posix_only
def test_a_pipe_is_not_waited_for(store: Store, writing: Path) -> None:
    os.mkfifo(writing / "pipe.txt")
    assert reasons(import_paths(store, [writing]))["pipe.txt"].startswith("is no file: a pipe")


@posix_only
@pytest.mark.parametrize(
    "name",
    [
        b"two\nlines.txt",
        b"caf\xe9 in latin-1.txt",
        "🙂 кот.txt".encode(),
        b"100% #1 ?.txt",
        b"quote' \" ; DROP.txt",
        b"~ann.txt",
        b"-rf.txt",
        b"x" * 251 + b".txt",
    ],
)
def test_files_with_odd_names_go_in_and_are_known_again(
    store: Store, writing: Path, name: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        Path(os.fsdecode(os.fsencode(writing) + b"/" + name)).write_text(prose(100))
    except OSError:
        pytest.skip("this file system takes no such name")
    monkeypatch.chdir(writing)
    for paths in ([writing], [Path(os.fsdecode(name))]):
        result = import_paths(store, paths)
        assert result.skipped == ()
        assert (result.sources, result.documents, result.words) == (1, 1, 100)
    assert result.unchanged == 1
    assert store.training_documents()[0].title.encode()
    store.sources()[0].path.encode()


def test_a_path_that_can_be_none_is_named(store: Store, writing: Path) -> None:
    for path in (writing / ("x" * 300 + ".txt"), Path("~nobody-of-this-name/a.txt"), writing / "a\0b.txt"):
        (skipped,) = import_paths(store, [path]).skipped
        assert skipped.reason.startswith(("is not there", "cannot be opened (File name too long)"))


@contextlib.contextmanager
def locked_out(*paths: Path) -> Iterator[None]:
    """Be somebody who may not open these."""
    was_root = os.geteuid() == 0
    for path in paths:
        path.chmod(0)
    if was_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if was_root:
            os.seteuid(0)
        for path in paths:
            path.chmod(0o700)


@posix_only
def test_what_may_not_be_opened_is_named_and_the_rest_goes_in() -> None:
    # Not under tmp_path, which is closed to others: for root the test must become somebody else.
    home = Path(tempfile.mkdtemp())
    try:
        home.chmod(0o777)
        folder, closed, letter = (
            home / "writing",
            home / "writing" / "closed",
            home / "writing" / "locked.txt",
        )
        closed.mkdir(parents=True)
        for file in (closed / "inside.txt", letter, folder / "open.txt"):
            file.write_text(prose(100, file.stem))
        with Store.open(home / "history.db") as store:
            with locked_out(closed, letter):
                result = import_paths(store, [folder, closed / "inside.txt"])
            assert [(skipped.path.name, skipped.reason) for skipped in result.skipped] == [
                ("closed", "cannot be opened (Permission denied); check its permissions"),
                ("inside.txt", "cannot be opened (Permission denied); check its permissions"),
                ("locked.txt", "cannot be read (Permission denied); check its permissions"),
            ]
            assert names(store) == ["open.txt"]
    finally:
        shutil.rmtree(home)


def test_an_import_can_be_stopped_between_files_and_gone_on_with(store: Store, writing: Path) -> None:
    for number in range(4):
        (writing / f"{number}.txt").write_text(prose(100, f"N{number}"))
    stop = threading.Event()

    def on_progress(path: Path, done: int, files: int) -> None:
        if done == 1:
            stop.set()

    result = import_paths(store, [writing], on_progress, stop.is_set)
    assert (result.added, result.stopped) == (2, True)
    rest = import_paths(store, [writing])
    assert (rest.added, rest.unchanged, rest.stopped) == (2, 2, False)


def test_an_import_of_nothing_says_so(store: Store, writing: Path) -> None:
    result = import_paths(store, [writing])
    assert (result.sources, result.added, result.unchanged, result.skipped) == (0, 0, 0, ())
