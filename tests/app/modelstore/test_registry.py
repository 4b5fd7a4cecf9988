from __future__ import annotations

import hashlib
import json
import stat
import sys
import threading
from pathlib import Path

import pytest

from app.errors import KnownError
from app.modelstore.header import read_header
from app.modelstore.registry import Registered, Registry, sha256_of
from app.places import Places
from tests.app.modelstore.files import model


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(Places.under(tmp_path / "data"))


def added(registry: Registry, path: Path, name: str = "Mine") -> Registered:
    path.write_bytes(model())
    found = Registered.of(
        read_header(path),
        model_id=registry.free_id(path, ["llama-3.2-1b"]),
        name=name,
        path=path,
        sha256=sha256_of(path),
    )
    registry.put(found)
    return found


def test_an_added_model_is_found_again_as_it_was(registry: Registry, tmp_path: Path) -> None:
    assert registry.models() == ()
    first = added(registry, tmp_path / "A model, mine.Q4_K_M.gguf")
    assert first.id == "a-model-mine.q4-k-m"
    assert first.sha256 == hashlib.sha256(model()).hexdigest()
    assert first.context == 2048
    again = Registry(Places.under(tmp_path / "data"))
    assert again.models() == (first,)
    assert again.find(first.id) == first
    assert again.find("other") is None
    if sys.platform != "win32":
        assert stat.S_IMODE(registry.path.stat().st_mode) == 0o600


def test_no_two_models_have_one_id(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    ids = [added(registry, tmp_path / folder / name).id for folder, name in (("", "m.gguf"), ("x", "M.gguf"))]
    assert ids == ["m", "m-2"]
    assert added(registry, tmp_path / "Llama-3.2-1B.gguf").id == "llama-3.2-1b-2"
    assert added(registry, tmp_path / "…….gguf").id == "model"


def test_the_same_file_added_again_is_the_same_model(registry: Registry, tmp_path: Path) -> None:
    added(registry, tmp_path / "m.gguf", "Old")
    again = added(registry, tmp_path / "m.gguf", "New")
    assert registry.models() == (again,)
    assert registry.models()[0].name == "New"


def test_a_forgotten_model_is_gone_and_its_file_stays(registry: Registry, tmp_path: Path) -> None:
    kept, gone = added(registry, tmp_path / "a.gguf"), added(registry, tmp_path / "b.gguf")
    registry.forget(gone.id)
    assert registry.models() == (kept,)
    assert gone.path.exists()


def test_what_is_not_known_in_the_file_stays(registry: Registry, tmp_path: Path) -> None:
    one = added(registry, tmp_path / "a.gguf")
    document = json.loads(registry.path.read_text())
    document["theme"] = {"dark": True}
    document["models"][0]["notes"] = "good for letters – ü"
    registry.path.write_text(json.dumps(document), encoding="utf-8")
    two = added(registry, tmp_path / "b.gguf")
    registry.put(one)
    registry.forget(two.id)
    document = json.loads(registry.path.read_text(encoding="utf-8"))
    assert document["theme"] == {"dark": True}
    assert [entry["notes"] for entry in document["models"]] == ["good for letters – ü"]


@pytest.mark.parametrize(
    "broken",
    [
        b"{",
        b"\xff\xfe{}",
        b"[]",
        b"7",
        b'{"models": {}}',
        b'{"models": [1]}',
        b'{"models": [{"id": "a"}]}',
        b"[" * 100_000,
    ],
)
def test_a_broken_file_is_named_and_left_alone(registry: Registry, tmp_path: Path, broken: bytes) -> None:
    registry.path.parent.mkdir(parents=True)
    registry.path.write_bytes(broken)
    with pytest.raises(KnownError, match="is damaged") as caught:
        registry.models()
    assert str(registry.path) in str(caught.value)
    with pytest.raises(KnownError):
        added(registry, tmp_path / "a.gguf")
    assert registry.path.read_bytes() == broken


@pytest.mark.parametrize(("key", "value"), [("size", "12"), ("size", True), ("path", None), ("context", 1.5)])
def test_a_value_of_the_wrong_kind_is_named(
    registry: Registry, tmp_path: Path, key: str, value: object
) -> None:
    added(registry, tmp_path / "a.gguf")
    document = json.loads(registry.path.read_text())
    document["models"][0][key] = value
    registry.path.write_text(json.dumps(document))
    with pytest.raises(KnownError, match=f"no {key}"):
        registry.models()


def test_a_write_that_fails_leaves_the_file_as_it_was(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = added(registry, tmp_path / "a.gguf")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(KnownError, match="cannot be written") as caught:
        added(registry, tmp_path / "b.gguf")
    assert str(registry.path) in str(caught.value)
    assert registry.models() == (first,)
    assert {each.name for each in registry.path.parent.iterdir()} <= {"models.json", "models.lock"}


def test_two_programs_that_write_at_once_lose_nothing(registry: Registry, tmp_path: Path) -> None:
    one = added(registry, tmp_path / "m.gguf")

    def write(number: int) -> None:
        for place in range(10):
            fields = vars(one) | {"id": f"{number}-{place}"}
            Registry(Places.under(tmp_path / "data")).put(Registered(**fields))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(registry.models()) == 31
