from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.server.served import Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A server that runs while the test does."""
    for package in ("starlette", "uvicorn", "openai"):
        pytest.importorskip(package, reason=f"{package} is not installed (extras serve and test)")
    served = Served(tmp_path)
    with served.running():
        yield served
