"""What a person may set: one TOML file in the configuration folder, which they write and this program only reads.

# settings.toml – every line may be left out
[engine]
context_tokens = 4096     # how much of a conversation the model reads; more takes more memory
threads = 0               # 0: as many as there are processors
idle_minutes = 20         # a model nobody asks for so long leaves the memory
silence_seconds = 120     # a model that says nothing for so long while it answers is ended
kept_megabytes = 512      # for going back to a voice or a conversation without reading it again
"""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from app.errors import KnownError

FILE_NAME = "settings.toml"
_LEAST_CONTEXT = 256


@dataclass(frozen=True)
class EngineSettings:
    """How the engine works; see the head of this module."""

    context_tokens: int = 4096
    threads: int = 0
    idle_minutes: float = 20.0
    silence_seconds: float = 120.0
    kept_megabytes: int = 512


@dataclass(frozen=True)
class Settings:
    """All there is to set."""

    engine: EngineSettings = field(default_factory=EngineSettings)


def load(config: Path) -> Settings:
    """The settings in the folder ``config``; the defaults where there is no file. What is not known is passed over.

    Raises KnownError naming the file and the line of it that makes no sense.
    """
    path = config / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise KnownError(
            f"The settings in {path} cannot be read: {error}. Mend the file, or move it away."
        ) from error
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise KnownError(
            f"The settings in {path} are no TOML: {error}. Mend the file, or move it away."
        ) from error
    engine = found.get("engine", {})
    if not isinstance(engine, dict):
        raise KnownError(f"In {path}, engine is a part of the file: write [engine] on a line of its own.")
    known = {}
    for each in dataclasses.fields(EngineSettings):
        if each.name not in engine:
            continue
        value, whole = engine[each.name], isinstance(each.default, int)
        least = _LEAST_CONTEXT if each.name == "context_tokens" else 0
        fits = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not (fits and least <= value < float("inf")):
            kind = "a whole number" if whole else "a number"
            raise KnownError(
                f"In {path}, {each.name} = {value!r} makes no sense: it is {kind} from {least} on."
            )
        known[each.name] = value
    return Settings(EngineSettings(**known))
