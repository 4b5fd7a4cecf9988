from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from app.history.records import Likeness
from app.history.store import Store
from app.models import Model
from engine.adapterfile import LowRankEdit, write_low_rank_edit
from engine.voicefile import ControlVector, Provenance, write_control_vector
from tests.app.commandline import Shell, only_json, refused
from tests.app.workers.histories import learnt_voice
from tests.fakes import MODEL

LIKENESS = Likeness(own=-0.4, own_low=-0.5, own_high=-0.3, others=-0.1, words_heldout=900, passages_heldout=7)
ONES = np.ones((4, 2), dtype=np.float32)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Runs commands in an empty folder, beside a data folder with the voice "letters/2020"."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    shell = Shell(tmp_path)
    learn(shell, "letters/2020")
    return shell


def learn(shell: Shell, name: str, architecture: str = "llama") -> Path:
    """A voice with both of its files; the folder they are in."""
    made = Provenance(name, "Tiny", "ab" * 32, "refine", "{}", "2024-01-01", 3, 1.0, -0.4, -0.1)
    shell.places.make()
    with Store.open(shell.places.database) as store:
        run = store.start_run(name, MODEL.id, {"budget": "fast"}, [])
        folder = shell.places.voices / f"run-{run}"
        folder.mkdir()
        vector = ControlVector(architecture, {1: ONES[:, 0]}, made)
        write_control_vector(folder / "control-vector.gguf", vector)
        write_low_rank_edit(folder / "adapter.gguf", LowRankEdit(architecture, {0: (ONES.T, ONES)}, made))
        files = {
            kind: f"{folder.name}/{kind.replace('_', '-')}.gguf" for kind in ("control_vector", "adapter")
        }
        store.finish_run(run, files, 1.0, LIKENESS, {}, 3.0)
    return folder


def test_a_voice_goes_into_a_folder_of_its_own_here(shell: Shell) -> None:
    result = shell("export", "letters/2020")
    assert result.exit_code == 0, result.output
    folder = Path.cwd() / "letters-2020-gguf"
    names = ["README.txt", "adapter.gguf", "control-vector.gguf"]
    assert sorted(path.name for path in folder.iterdir()) == names
    for name in names[1:]:
        (own,) = shell.places.voices.rglob(name)
        assert (folder / name).read_bytes() == own.read_bytes()
    assert "--lora-scaled adapter.gguf:1 " in (folder / "README.txt").read_text(encoding="utf-8")
    assert str(folder) in result.stdout
    for name in names:
        assert name in result.stdout


@pytest.mark.parametrize(
    ("form", "kinds", "noted"),
    [
        ("gguf", {"adapter", "control_vector", "readme"}, None),
        ("peft", {"weights", "config", "readme"}, "--without-vector"),
        ("ollama", {"modelfile", "adapter"}, "no control vector"),
    ],
)
def test_json_says_what_is_where(shell: Shell, form: str, kinds: set[str], noted: str | None) -> None:
    to = Path.cwd() / "some" / "folder"
    result = shell("export", "letters/2020", "--format", form, "--to", str(to), "--json")
    told = only_json(result)
    assert (told["voice"], told["format"], told["folder"]) == ("letters/2020", form, str(to))
    assert set(told["files"]) == kinds
    assert {Path(path) for path in told["files"].values()} == set(to.iterdir())
    for note in told["notes"]:
        assert note in result.stderr
    assert bool(told["notes"]) == bool(noted)
    assert noted is None or any(noted in note for note in told["notes"])


def test_what_is_there_is_overwritten_only_by_force(shell: Shell) -> None:
    to = Path.cwd() / "to"
    to.mkdir()
    (to / "README.md").write_text("mine")
    command = ("export", "letters/2020", "--format", "peft", "--to", str(to))
    refused(shell(*command), str(to / "README.md"), "--force")
    assert [path.name for path in to.iterdir()] == ["README.md"]
    assert shell(*command, "--force").exit_code == 0
    assert (to / "README.md").read_text(encoding="utf-8") != "mine"
    assert len(list(to.iterdir())) == 3


def test_strength_and_vector_are_as_asked(shell: Shell) -> None:
    command = (
        "export",
        "letters/2020",
        "--format",
        "peft",
        "--strength",
        "0.5",
        "--without-vector",
        "--json",
    )
    files = only_json(shell(*command))["files"]
    assert json.loads(Path(files["config"]).read_text())["lora_bias"] is False
    assert "at strength 0.5" in Path(files["readme"]).read_text(encoding="utf-8")
    for strength in ("0", "-1", "2.5", "nan"):
        refused(shell("export", "letters/2020", "--strength", strength), "strength")
    refused(shell("export", "letters/2020", "--without-vector"), "peft")


def test_ollama_gets_the_model_the_voice_was_learnt_on(shell: Shell) -> None:
    asked: list[str | None] = []

    def find(name: str | None) -> Model:
        asked.append(name)
        return MODEL

    shell.find_model = find
    result = shell("export", "letters/2020", "--format", "ollama")
    assert result.exit_code == 0, result.output
    assert asked == [MODEL.id]
    modelfile = (Path.cwd() / "letters-2020-ollama" / "Modelfile").read_text(encoding="utf-8")
    assert f"\nFROM {MODEL.path.absolute()}\n" in modelfile
    assert "helpful writing assistant" in modelfile
    assert "\nPARAMETER temperature 0.7\n" in modelfile
    assert "knows no control vector" in modelfile
    assert "knows no control vector" in result.stderr


def test_a_voice_that_is_not_there_is_a_known_error(shell: Shell, tmp_path: Path) -> None:
    refused(shell("export", "diary"), "diary")
    refused(shell("export"), "VOICE")
    refused(shell("export", "letters/2020", "--format", "zip"), "--format")
    empty = Shell(tmp_path / "elsewhere")
    refused(empty("export", "letters"), "letters", "idiolect learn")


def test_files_that_are_gone_or_no_voice_are_named(shell: Shell) -> None:
    with Store.open(shell.places.database) as store:
        broken = learnt_voice(store, shell.places, "broken")
        store.start_run("unfinished", MODEL.id, {}, [])
    refused(shell("export", "broken"), str(broken))
    broken.unlink()
    refused(shell("export", "broken"), str(broken), "Learn the voice again")
    refused(shell("export", "unfinished"), "unfinished")
    assert not list(Path.cwd().iterdir())


def test_a_model_that_cannot_take_the_vector_so_is_told_of(shell: Shell) -> None:
    learn(shell, "other", "gemma3")
    refused(shell("export", "other", "--format", "peft"), "gemma3", "--without-vector")
    assert shell("export", "other", "--format", "peft", "--without-vector").exit_code == 0


def test_folders_that_cannot_be_written_to_are_named(shell: Shell) -> None:
    occupied = Path.cwd() / "occupied"
    occupied.write_text("a file")
    refused(shell("export", "letters/2020", "--to", str(occupied)), str(occupied))
    (run,) = shell.places.voices.iterdir()
    refused(
        shell("export", "letters/2020", "--format", "ollama", "--to", str(run), "--force"), str(run), "--to"
    )


@pytest.mark.skipif(os.name == "nt", reason="the home folder is named by another variable there")
def test_the_home_folder_may_be_named_short(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(Path.cwd()))
    told = only_json(shell("export", "letters/2020", "--to", "~/voice", "--json"))
    assert told["folder"] == str(Path.cwd() / "voice")


def test_export_explains_itself_with_an_example(shell: Shell) -> None:
    shown = shell("export", "--help")
    assert shown.exit_code == 0
    assert "idiolect export letters" in shown.stdout
    assert "export" in shell("--help").stdout
