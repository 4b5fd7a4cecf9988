"""What a benchmark leaves behind: files of the voices, rows as they are measured, so that it can be gone on with.

Everything of one setting (model, budget, sizes, seed, texts) lies under a name made from it, so that rows of another
setting are never taken for this one's. A change of the *code* is not seen: measure anew after one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from engine.wire import Vocabulary
from tests.bench.artefact import Artefact
from tests.bench.learning import Cost
from tests.bench.rows import Row


@dataclass(frozen=True)
class Learnt:
    """An artefact, and what it cost to learn."""

    artefact: Artefact
    cost: Cost


_KEPT = Vocabulary([Row, Learnt])


class Keeper:
    """Keeps under ``folder``. Gives back what it was given; with ``resume`` also what an earlier benchmark of the
    same ``setting`` kept there."""

    def __init__(self, folder: Path, setting: Any, *, resume: bool) -> None:
        digest = sha256(json.dumps(setting, sort_keys=True).encode()).hexdigest()
        self._folder = folder / "kept" / digest[:12]
        self._folder.mkdir(parents=True, exist_ok=True)
        self._resume = resume
        self._made: dict[str, Row | Learnt] = {}

    def workshop(self, author: str, method: str) -> Path:
        """A folder for the files of a voice."""
        folder = self._folder / f"{author}.{method}"
        folder.mkdir(exist_ok=True)
        return folder

    def keep(self, name: str, value: Row | Learnt) -> None:
        """Keep ``value`` under ``name``."""
        self._made[name] = value
        path = self._folder / f"{name}.json"
        path.with_suffix(".part").write_bytes(_KEPT.encode(value))
        path.with_suffix(".part").replace(path)

    def row(self, name: str) -> Row | None:
        """The row kept under ``name``, if any."""
        found = self._kept(name)
        return found if isinstance(found, Row) else None

    def learnt(self, name: str) -> Learnt | None:
        """What was learnt under ``name``, if anything, and its files are still there."""
        found = self._kept(name)
        if not isinstance(found, Learnt):
            return None
        files = (found.artefact.control_vector, found.artefact.adapter)
        return found if all(Path(file).is_file() for file in files if file) else None

    def _kept(self, name: str) -> Row | Learnt | None:
        path = self._folder / f"{name}.json"
        if name not in self._made and self._resume and path.is_file():
            self._made[name] = _KEPT.decode(path.read_bytes())
        return self._made.get(name)
