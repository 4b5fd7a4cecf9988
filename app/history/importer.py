"""Taking files and folders into the history."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.history import readers
from app.history.order import natural_key
from app.history.readers import ReadError
from app.history.sources import stored_path
from app.history.store import Store

OnProgress = Callable[[Path, int, int], None]


@dataclass(frozen=True)
class Skipped:
    """A file or folder that was left out; ``reason`` reads on after its name."""

    path: Path
    reason: str


@dataclass(frozen=True)
class ImportResult:
    """What the history holds after an import, and what the import did.

    ``added`` counts the files that were new or had changed, ``unchanged`` those the history held already.
    ``stopped``: whether it was stopped before the last file.
    """

    sources: int
    documents: int
    passages: int
    words: int
    added: int
    unchanged: int
    skipped: tuple[Skipped, ...]
    stopped: bool = False


def import_paths(
    store: Store,
    paths: Sequence[Path],
    on_progress: OnProgress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> ImportResult:
    """Take the files at ``paths``, and those in the folders there, into the history.

    A file is known by its absolute path: one that the history holds already is left as it is, one that has
    changed takes the place of what it held before. Each file goes in whole or not at all; what cannot be
    read is named in the result and the rest goes in. In folders, hidden files and those of other kinds are
    passed over.

    ``on_progress`` is told the file at hand, how many are done, and how many there are. ``should_stop`` is
    asked before each file. Raises KnownError when the history itself cannot be written.
    """
    skipped: list[Skipped] = []
    files = _Files(skipped).under(paths, should_stop)
    known = store.fingerprints()
    added = unchanged = 0
    stopped = should_stop()
    for done, (path, resolved) in enumerate(files):
        if stopped := should_stop():
            break
        if on_progress is not None:
            on_progress(path, done, len(files))
        try:
            data = readers.load(path)
            sha256 = hashlib.sha256(data).hexdigest()
            if known.get(stored_path(resolved)) == sha256:
                unchanged += 1
                continue
            documents = readers.parse(path, data)
        except ReadError as error:
            skipped.append(Skipped(path, str(error)))
            continue
        store.add_source(resolved, readers.kind_of(path) or "", sha256, documents)
        added += 1
    if files and not stopped and on_progress is not None:
        on_progress(files[-1][0], len(files), len(files))
    totals = store.totals()
    return ImportResult(
        sources=totals.sources,
        documents=totals.documents,
        passages=totals.passages,
        words=totals.words,
        added=added,
        unchanged=unchanged,
        skipped=tuple(skipped),
        stopped=stopped,
    )


class _Files:
    """The files to read, each once, in natural order; what is left out on the way is added to ``skipped``."""

    def __init__(self, skipped: list[Skipped]) -> None:
        self._skipped = skipped
        self._seen: set[Path] = set()  # also keeps links that lead in circles from being followed forever

    def under(self, paths: Sequence[Path], should_stop: Callable[[], bool]) -> list[tuple[Path, Path]]:
        """Each file as it was met, and its absolute path without links."""
        found: list[tuple[Path, Path]] = []
        for path in paths:
            for each in self._at(_at_home(path).absolute()):
                found.append(each)
                if should_stop():
                    return found
        return found

    def _at(self, path: Path) -> Iterator[tuple[Path, Path]]:
        if _is_folder(path):
            yield from self._in(path)
        elif (reason := _out_of_reach(path)) is not None:
            self._skipped.append(Skipped(path, reason))
        elif readers.kind_of(path) is None:
            reads = ", ".join(readers.SUFFIXES)
            self._skipped.append(Skipped(path, f"is of a kind Idiolect does not read; it reads {reads}"))
        elif (resolved := self._first_time(path)) is not None:
            yield path, resolved

    def _in(self, folder: Path) -> Iterator[tuple[Path, Path]]:
        if self._first_time(folder) is None:
            return
        try:
            with os.scandir(folder) as listing:
                entries = [entry for entry in listing if not _is_hidden(entry)]
        except OSError as error:
            self._skipped.append(Skipped(folder, _closed(error)))
            return
        for entry in sorted(entries, key=lambda entry: natural_key(entry.name)):
            path = Path(entry.path)
            if _is_folder(entry):
                yield from self._in(path)
            elif readers.kind_of(path) is not None and (resolved := self._first_time(path)) is not None:
                yield path, resolved

    def _first_time(self, path: Path) -> Path | None:
        """The path without links; None where it has been met before or its links lead nowhere."""
        try:
            resolved = path.resolve()
        except (OSError, RuntimeError):  # links in a circle
            self._skipped.append(Skipped(path, "is a link that leads to itself"))
            return None
        if resolved in self._seen:
            return None
        self._seen.add(resolved)
        return resolved


def _at_home(path: Path) -> Path:
    """The path with the person's folder for ~, where that means one: a file's name may begin with it too."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def _out_of_reach(path: Path) -> str | None:
    """Why there is nothing at ``path`` to be had; None where there is something."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # a value error: no path at all
        return "is not there"
    except OSError as error:
        return _closed(error)
    return None


def _closed(error: OSError) -> str:
    return f"cannot be opened ({error.strerror or error}); check its permissions"


def _is_folder(path: Path | os.DirEntry[str]) -> bool:
    try:
        return path.is_dir()
    except OSError:  # links in a circle, or what may not be looked at
        return False


def _is_hidden(entry: os.DirEntry[str]) -> bool:
    """Whether the entry is hidden, or a lock file of a word processor."""
    if entry.name.startswith((".", "~$")):
        return True
    try:
        attributes = getattr(entry.stat(follow_symlinks=False), "st_file_attributes", 0)
    except OSError:
        return False
    return bool(attributes & getattr(stat, "FILE_ATTRIBUTE_HIDDEN", 0))
