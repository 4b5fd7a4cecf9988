from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.history.store import Store
from app.places import Places


@pytest.fixture
def places(tmp_path: Path) -> Places:
    places = Places.under(tmp_path / "data")
    places.make()
    return places


@pytest.fixture
def store(places: Places) -> Iterator[Store]:
    with Store.open(places.database) as store:
        yield store


@pytest.fixture
def writing(tmp_path: Path) -> Path:
    """An empty folder for the person's files."""
    folder = tmp_path / "writing"
    folder.mkdir()
    return folder
