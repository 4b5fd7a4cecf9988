"""Where everything of the person's lies on this computer, and the lock that keeps two writers apart."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.errors import KnownError

_NAME = "idiolect"


@dataclass(frozen=True)
class Places:
    """The folders the program uses. Nothing is written anywhere else."""

    data: Path
    config: Path
    cache: Path
    logs: Path

    @classmethod
    def default(cls) -> Places:
        """Where this operating system wants a program's data."""
        from platformdirs import PlatformDirs

        found = PlatformDirs(_NAME, appauthor=False)
        return cls(found.user_data_path, found.user_config_path, found.user_cache_path, found.user_log_path)

    @classmethod
    def under(cls, folder: Path) -> Places:
        """Everything under ``folder``, which need not exist yet."""
        folder = folder.absolute()
        return cls(folder, folder / "config", folder / "cache", folder / "logs")

    @property
    def database(self) -> Path:
        """The history: one SQLite file."""
        return self.data / "idiolect.db"

    @property
    def voices(self) -> Path:
        """The files of the voices, a folder for each run that succeeded."""
        return self.data / "voices"

    @property
    def lock(self) -> Path:
        """The file that the one writing program holds locked."""
        return self.data / "idiolect.lock"

    def make(self) -> None:
        """Create the folders that are missing, readable by their owner only.

        Raises KnownError naming the folder that cannot be created or written to.
        """
        for folder in (self.data, self.voices, self.config, self.cache, self.logs):
            try:
                if not folder.is_dir():
                    folder.parent.mkdir(parents=True, exist_ok=True)
                    folder.mkdir(mode=0o700, exist_ok=True)
                # The only test of a permission that holds on every system is to use it.
                tempfile.TemporaryFile(dir=folder).close()
            except OSError as error:
                raise KnownError(
                    f"The folder {folder} cannot be written to ({error.strerror or error}). "
                    "Change its permissions, or keep the data elsewhere with --data-dir DIR."
                ) from error


@contextlib.contextmanager
def hold(places: Places) -> Iterator[None]:
    """Be the one program that writes to the history of ``places``, which have been made.

    The operating system lets go of the lock when the program ends, however it ends. Raises KnownError while
    another program holds it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(places.lock, timeout=0, mode=0o600, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise KnownError(
            f"Idiolect is already open on the data folder {places.data}. Close the other one first, "
            "or use another folder with --data-dir DIR."
        ) from error
    except (OSError, NotImplementedError) as error:
        raise KnownError(
            f"The file {places.lock} cannot be locked ({error}). Keep the data on a disk of this computer: "
            "--data-dir DIR."
        ) from error
    try:
        yield
    finally:
        lock.release()
