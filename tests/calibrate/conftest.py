from __future__ import annotations

import os
from pathlib import Path

# Read when torch is loaded: threads that wait shall not spin, as in the calibrate process.
os.environ.setdefault("GOMP_SPINCOUNT", "500")

import pytest

from tests.tiny_models import write_tiny_llama


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random llama as a GGUF file, in a folder of its own."""
    return write_tiny_llama(tmp_path_factory.mktemp("model") / "tiny.gguf", seed=5)
