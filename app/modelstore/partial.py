"""A file on its way from the network: what has come so far, and what it is going to be.

Goes in: bytes, in order. Comes out: the whole file at its place. Until then it is called ``NAME.part``; a sidecar
``NAME.part.json`` says of which file it is a part, so that another run can go on.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from app.errors import KnownError
from app.modelstore.memory import size as in_words

# How much of a file's size stays free beside it, so that the system can go on working.
_SPARE = 20


@dataclass(frozen=True)
class Facts:
    """Which file it is: ``url`` it was asked of, ``size`` in bytes, and what the server said of this version of
    it, "" where it said nothing."""

    url: str
    size: int
    etag: str
    sha256: str


class Part:
    """The part of ``target`` that has come: its first ``done`` bytes; ``facts`` is None while none has."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self._target = target
        self._sidecar = target.with_name(f"{target.name}.part.json")
        self.facts = self._remembered()
        self.done = self.path.stat().st_size if self.facts is not None else 0

    @property
    def complete(self) -> bool:
        """Whether all bytes have come; not whether they are the right ones."""
        return self.facts is not None and self.done == self.facts.size

    def begin(self, facts: Facts) -> None:
        """Have nothing of the file that ``facts`` describe. Raises KnownError when that cannot be written."""
        with _writing(self.path):
            self._sidecar.unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)
            self.path.touch(mode=0o600)
            self._sidecar.touch(mode=0o600)
            self._sidecar.write_text(json.dumps(asdict(facts)), encoding="utf-8")
        self.facts, self.done = facts, 0

    @contextlib.contextmanager
    def growing(self) -> Iterator[BinaryIO]:
        """The file, open for `append`. What was written is on the disk afterwards, whatever happens within."""
        with _writing(self.path):
            file = self.path.open("ab", buffering=0)
        with file:
            try:
                yield file
            finally:
                with _writing(self.path):
                    os.fsync(file.fileno())

    def append(self, file: BinaryIO, data: bytes) -> None:
        """Put ``data`` behind what is there. Raises KnownError when the disk does not take it."""
        with _writing(self.path):
            while data:
                written = file.write(data)
                data, self.done = data[written:], self.done + written

    def discard(self) -> None:
        """Have nothing, and leave no file behind. Raises KnownError when one cannot be deleted."""
        with _writing(self.path):
            self._sidecar.unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)
        self.facts, self.done = None, 0

    def finish(self) -> None:
        """Move the file to its place, in one step. Raises KnownError when that cannot be done."""
        with _writing(self._target):
            self.path.replace(self._target)
            self._sidecar.unlink(missing_ok=True)
        self.facts, self.done = None, 0

    def _remembered(self) -> Facts | None:
        """What the sidecar says; None when it says nothing that fits to what is there."""
        try:
            said = json.loads(self._sidecar.read_bytes())
            facts = Facts(str(said["url"]), int(said["size"]), str(said["etag"]), str(said["sha256"]))
            return facts if self.path.stat().st_size <= facts.size else None
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise KnownError(
            f"{path} cannot be written ({error.strerror or error}). Make room on that disk or check the "
            "permissions of the folder; then run the same command again, it goes on from there."
        ) from error


def free_bytes(folder: Path) -> int:
    """How much room there is on the disk of ``folder``, which need not exist yet."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def check_room(folder: Path, missing: int, size: int) -> None:
    """Raise KnownError when ``missing`` bytes of a file of ``size`` bytes do not fit on the disk of ``folder``."""
    free, needed = free_bytes(folder), missing + size // _SPARE
    if needed > free:
        raise KnownError(
            f"There is too little room in {folder}: {in_words(needed)} are needed, {in_words(free)} are free. "
            "Make room, or keep the data on another disk with --data-dir DIR."
        )
