from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.modelstore import download
from app.modelstore.registry import Registered
from app.places import Places
from tests.app.modelstore import serving
from tests.app.modelstore.getting import CONTENT, Get
from tests.app.modelstore.serving import Server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving.serving(CONTENT) as running:
        yield running


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places.under(tmp_path / "data")


@pytest.fixture
def get(server: Server, places: Places) -> Get:
    """Gets the model of the server; fields of its entry can be given."""

    def got(pauses: tuple[float, ...] = (0, 0, 0), **given: Any) -> Registered:
        options = {key: given.pop(key) for key in ("on_progress", "should_stop", "on_check") if key in given}
        return download.get(server.entry(**given), places, allow_loopback=True, pauses=pauses, **options)

    return got
