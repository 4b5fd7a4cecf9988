from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.environment import settle
from tests.bench.writers import write_two_writers
from tests.tiny_models import write_tiny_llama

settle()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random llama as a GGUF file, in a folder of its own."""
    return write_tiny_llama(tmp_path_factory.mktemp("model") / "tiny.gguf", seed=5)


@pytest.fixture(scope="session")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the texts of two people."""
    return write_two_writers(tmp_path_factory.mktemp("voices"))
