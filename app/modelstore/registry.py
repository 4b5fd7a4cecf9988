"""The models that were added to this computer: by the person, from a file, or by getting one from the catalogue.

Goes in: a model file. Comes out: a `Registered`, kept in ``models.json`` in the config folder. A person may read and
edit that file; what this program does not know in it stays as it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.errors import KnownError
from app.files import write_whole
from app.history.times import now
from app.modelstore.header import Header
from app.places import Places

_CHUNK = 2**20
# Another Idiolect holds the file for as long as it takes to write it.
_PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class Registered:
    """A model that was added. ``size`` and ``memory`` (what it needs to write) are in bytes."""

    id: str
    name: str
    path: Path
    sha256: str
    size: int
    architecture: str
    quantisation: str
    context: int | None
    parameters: int
    memory: int
    added_at: str

    @classmethod
    def of(cls, header: Header, *, model_id: str, name: str, path: Path, sha256: str) -> Registered:
        """The model at ``path``, described by its ``header``, added now."""
        return cls(
            id=model_id,
            name=name,
            path=path,
            sha256=sha256,
            size=header.size,
            architecture=header.architecture,
            quantisation=header.quantisation,
            context=header.context,
            parameters=header.parameters,
            memory=header.memory,
            added_at=now(),
        )


def models_folder(places: Places) -> Path:
    """Where the models lie that were got from the network."""
    return places.data / "models"


class Registry:
    """The list of added models of ``places``. Every call reads the file, since another Idiolect may write it."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self.path = places.config / "models.json"

    def models(self) -> tuple[Registered, ...]:
        """The added models, the first one first. Raises KnownError when the file is damaged."""
        return tuple(self._registered(entry) for entry in self._read()["models"])

    def find(self, wanted: str) -> Registered | None:
        """The added model with the id ``wanted``; None when there is none."""
        return next((each for each in self.models() if each.id == wanted), None)

    def free_id(self, path: Path, reserved: Collection[str]) -> str:
        """An id for the model at ``path``: the one it has, or one made from the file's name that neither another
        model nor ``reserved`` has."""
        added = self.models()
        for each in added:
            if each.path == path:
                return each.id
        slug = re.sub(r"[^a-z0-9.]+", "-", path.stem.lower()).strip("-.") or "model"
        taken, number, free = {*reserved, *(each.id for each in added)}, 1, slug
        while free in taken:
            number += 1
            free = f"{slug}-{number}"
        return free

    def put(self, model: Registered) -> None:
        """Keep ``model``, in place of one with its id. Raises KnownError when that cannot be written."""
        fields = asdict(model) | {"path": str(model.path)}
        with self._changing() as document:
            for entry in document["models"]:
                if entry.get("id") == model.id:
                    entry.update(fields)
                    return
            document["models"].append(fields)

    def forget(self, wanted: str) -> None:
        """Keep the model ``wanted`` no longer; its file stays. Raises KnownError when that cannot be written."""
        with self._changing() as document:
            document["models"] = [entry for entry in document["models"] if entry.get("id") != wanted]

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        """What is in the file, to be changed within; written when nothing was raised."""
        from filelock import FileLock, Timeout

        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with FileLock(self.path.with_suffix(".lock"), timeout=_PATIENCE_SECONDS, mode=0o600):
                document = self._read()
                yield document
                write_whole(self.path, json.dumps(document, indent=2, ensure_ascii=False))
        except Timeout as error:
            raise KnownError(
                f"Another Idiolect is writing {self.path}. Try again when it is done."
            ) from error
        except (OSError, NotImplementedError) as error:
            raise KnownError(
                f"The list of models {self.path} cannot be written ({error}). Check the permissions of its folder."
            ) from error

    def _read(self) -> dict[str, Any]:
        """What is in the file, with a list of tables under "models"."""
        try:
            document = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return {"models": []}
        except OSError as error:
            raise KnownError(
                f"The list of models {self.path} cannot be read ({error.strerror or error}). Check its permissions."
            ) from error
        except (ValueError, RecursionError) as error:
            raise self._damaged("it is not JSON") from error
        if not isinstance(document, dict):
            raise self._damaged("it is not a table")
        entries = document.setdefault("models", [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise self._damaged('"models" is not a list of tables')
        return document

    def _registered(self, entry: dict[str, Any]) -> Registered:
        known: dict[str, Any] = {}
        for key, kind in _KINDS.items():
            value = entry.get(key)
            # JSON's true and false are whole numbers to Python.
            if not isinstance(value, kind) or isinstance(value, bool):
                raise self._damaged(f"a model in it has no {key} that can be")
            known[key] = value
        return Registered(**known | {"path": Path(known["path"])})

    def _damaged(self, reason: str) -> KnownError:
        return KnownError(
            f"The list of models {self.path} is damaged: {reason}. Mend it, or delete it and add your models again: "
            "idiolect models add FILE"
        )


_KINDS: dict[str, type | tuple[type, ...]] = {
    "id": str,
    "name": str,
    "path": str,
    "sha256": str,
    "size": int,
    "architecture": str,
    "quantisation": str,
    "context": (int, type(None)),
    "parameters": int,
    "memory": int,
    "added_at": str,
}


def sha256_of(path: Path, on_progress: Callable[[int], None] = lambda done: None) -> str:
    """The SHA-256 of the file at ``path``; ``on_progress`` gets the bytes done so far, and may raise to end it.

    Raises KnownError when it cannot be read.
    """
    digest, done = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                done += len(chunk)
                on_progress(done)
    except OSError as error:
        raise KnownError(f"The model file {path} cannot be read: {error.strerror or error}.") from error
    return digest.hexdigest()
