from __future__ import annotations

from pathlib import Path

import pytest

from app.workers.engine_client import Died
from engine.messages import Failed, Token, VoiceUse
from tests.app.commandline import Shell, only_json, refused
from tests.fakes import finished


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_say_prints_the_answer_alone_and_says_which_voice_on_stderr(shell: Shell) -> None:
    shell.engine.enqueue("Dear Anna, thanks.")
    result = shell("say", "Thank Anna.")
    assert result.exit_code == 0
    assert result.stdout == "Dear Anna, thanks.\n"
    assert "plain model" in result.stderr
    assert shell.engine.closed


def test_say_json_has_the_fields_of_the_contract(shell: Shell) -> None:
    shell.engine.enqueue("Dear Anna")
    told = only_json(
        shell("say", "Thank Anna.", "--json", "--seed", "7", "--max-tokens", "50", "--temperature", "0.2")
    )
    assert told["text"] == "Dear Anna"
    assert (told["tokens"], told["seconds_to_first_token"], told["tokens_per_second"]) == (2, 0.25, 40.0)
    assert (told["voice"], told["strength"]) == ("none", 0.0)
    sampling = shell.engine.asked[0].sampling
    assert (sampling.seed, sampling.max_tokens, sampling.temperature) == (7, 50, 0.2)


def test_say_uses_the_voice_learnt_last_unless_told_otherwise(shell: Shell) -> None:
    shell.learnt("letters")
    shell.learnt("mails")
    shell.engine.enqueue("a", "b", "c", "d")
    assert "mails" in shell("say", "Hello").stderr
    own = only_json(shell("say", "Hello", "--voice", "letters", "--strength", "0.5", "--json"))
    assert (own["voice"], own["strength"]) == ("letters", 0.5)
    plain = only_json(shell("say", "Hello", "--voice", "none", "--json"))
    assert (plain["voice"], plain["strength"]) == ("none", 0.0)
    shell("say", "Hello", "--strength", "0")
    latest, letters, none, zero = (asked.voice for asked in shell.engine.asked)
    assert isinstance(latest, VoiceUse)
    assert latest.strength == 1.0
    assert isinstance(letters, VoiceUse)
    assert letters.strength == 0.5
    assert letters.control_vector != latest.control_vector
    assert none is None
    assert zero is None, "strength 0 is the plain model, exactly"


def test_say_reads_the_request_from_stdin(shell: Shell) -> None:
    shell.engine.enqueue("a", "b")
    shell("say", "-", stdin="Thank Anna.\n")
    shell("say", stdin="Thank Ben – für alles.\n")
    asked = [asked.turns[-1].content for asked in shell.engine.asked]
    assert asked == ["Thank Anna.", "Thank Ben – für alles."]
    refused(shell("say", stdin=""), "empty")


def test_say_refuses_what_makes_no_sense(shell: Shell) -> None:
    for wrong in ("3", "-1", "nan"):
        refused(shell("say", "Hello", "--voice", "none", f"--strength={wrong}"), "strength")
    refused(shell("say", "Hello", "--voice", "nobody"), "nobody")
    refused(shell("say", "Hello", "--max-tokens", "0"), "--max-tokens")
    shell.learnt("letters")
    refused(shell("say", "Hello", "--voice", "nobody"), "nobody", "letters")
    assert shell.engine.asked == []


def test_a_voice_whose_file_is_gone_says_to_learn_again(shell: Shell) -> None:
    shell.learnt()
    for file in shell.places.voices.rglob("*.gguf"):
        file.unlink()
    result = shell("say", "Hello")
    assert result.exit_code == 2
    assert "Learn the voice again" in result.stderr


def test_a_dead_engine_is_told_in_words(shell: Shell) -> None:
    shell.engine.enqueue([Token(0, "Dear"), Died("was killed (signal 9)")])
    result = shell("say", "Hello")
    assert result.exit_code == 2
    assert "The engine was killed (signal 9)" in result.stderr
    shell.engine.enqueue([Failed(0, known=True, message="The model is damaged.")])
    assert "The model is damaged." in shell("say", "Hello", "--json").stderr
    shell.engine.enqueue([Failed(0, known=False, message="Traceback: KeyError")])
    assert shell("say", "Hello").exit_code == 1
    assert "KeyError" in (shell.places.logs / "idiolect.log").read_text()


def test_a_stopped_answer_keeps_its_text_and_is_told_by_the_exit_code(shell: Shell) -> None:
    shell.engine.enqueue([Token(0, "Dear"), finished("stopped")])
    result = shell("say", "Hello")
    assert result.stdout == "Dear\n"
    assert result.exit_code == 130


def test_a_model_cannot_send_commands_to_the_terminal(shell: Shell) -> None:
    shell.engine.enqueue([Token(0, "Dear\x1b[2J\x07 Anna\n\tbye"), finished()])
    assert shell("say", "Hello").stdout == "Dear[2J Anna\n\tbye\n"


def test_a_half_surrogate_in_the_request_is_no_bug(shell: Shell) -> None:
    shell.engine.enqueue("fine")
    assert shell("say", "Hello \udc80").exit_code == 0
    assert shell.engine.asked[0].turns[-1].content == "Hello ?"


def test_compare_answers_twice_with_the_same_seed(shell: Shell) -> None:
    shell.learnt("letters")
    shell.engine.enqueue("Plain words.", "My words.")
    told = only_json(shell("compare", "Thank Anna.", "--json"))
    assert (told["plain"]["text"], told["own"]["text"]) == ("Plain words.", "My words.")
    assert (told["voice"], told["strength"]) == ("letters", 1.0)
    plain, own = shell.engine.asked
    assert plain.voice is None
    assert own.voice is not None
    assert plain.sampling == own.sampling
    assert plain.sampling.seed == told["seed"] is not None


def test_compare_shows_two_columns_or_one_below_the_other(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.learnt("letters")
    for width, same_line in (("100", True), ("40", False)):
        monkeypatch.setenv("COLUMNS", width)
        shell.engine.enqueue("Plain words.", "My words.")
        shown = shell("compare", "Thank Anna.").stdout
        assert "Plain words." in shown
        assert any("Plain words." in line and "My words." in line for line in shown.splitlines()) == same_line


def test_compare_needs_a_voice(shell: Shell) -> None:
    refused(shell("compare", "Hello"), "idiolect learn")
