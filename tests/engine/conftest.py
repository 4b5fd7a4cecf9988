from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.model import Model
from tests.tiny_models import write_tiny_llama

Loader = Callable[..., Model]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random llama as a GGUF file, in a folder of its own."""
    return write_tiny_llama(tmp_path_factory.mktemp("model") / "tiny.gguf", seed=5)


@pytest.fixture
def load() -> Iterator[Loader]:
    """Loads models, and frees them when the test is over."""
    loaded: list[Model] = []

    def load(path: Path, context_tokens: int = 512, remembered_bytes: int = 0) -> Model:
        loaded.append(Model.load(path, context_tokens, 1, remembered_bytes))
        return loaded[-1]

    yield load
    for model in loaded:
        model.close()


@pytest.fixture
def model(tiny: Path, load: Loader) -> Model:
    """The tiny model, freshly loaded."""
    return load(tiny)
