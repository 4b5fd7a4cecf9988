"""``idiolect serve`` as it is typed: what it says, and how it ends."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from app.shell import writing
from engine.messages import Token
from tests.app.commandline import Shell, refused
from tests.app.server.served import HELLO, eventually
from tests.app.workers.histories import learnt_voice
from tests.house.checkout import ROOT

CtrlC = pytest.mark.skipif(sys.platform == "win32", reason="a test cannot send itself Ctrl-C on Windows")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    for package in ("starlette", "uvicorn", "httpx"):
        pytest.importorskip(package, reason=f"{package} is not installed (extras serve and test)")
    return Shell(tmp_path)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def served(shell: Shell, meanwhile: Callable[[int], None], *options: str) -> Result:
    """The command on a free port, interrupted by Ctrl-C after ``meanwhile``, which is given the port."""
    port = free_port()
    failed: list[BaseException] = []

    def use() -> None:
        try:
            assert eventually(lambda: answers(port))
            meanwhile(port)
        except BaseException as error:
            failed.append(error)
        os.kill(os.getpid(), signal.SIGINT)

    user = threading.Thread(target=use)
    user.start()
    result = shell("serve", "--port", str(port), *options)
    user.join()
    assert not failed, failed
    return result


def client(port: int, token: str = "none") -> Any:
    import httpx

    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False, timeout=5)


def answers(port: int) -> bool:
    import httpx

    try:
        return bool(client(port).get("/v1/models").status_code == 401)
    except httpx.ConnectError:
        return False


@CtrlC
def test_it_says_how_to_ask_and_ends_with_ctrl_c_in_the_middle_of_an_answer(shell: Shell) -> None:
    shell.engine.enqueue([Token(0, "Dear")])
    token_file = shell.places.config / "server-token"
    ports: list[int] = []
    streams: list[Any] = []

    def meanwhile(port: int) -> None:
        asking = client(port, token_file.read_text().strip())
        request = asking.build_request("POST", "/v1/chat/completions", json=HELLO | {"stream": True})
        streams.append(asking.send(request, stream=True))
        ports.append(port)

    result = served(shell, meanwhile)
    assert result.exit_code == 0, result.output
    assert shell.engine.closed
    assert "The engine was closed" in streams[0].read().decode()
    assert stat.S_IMODE(token_file.stat().st_mode) == 0o600
    base, token = f"http://127.0.0.1:{ports[0]}/v1", token_file.read_text().strip()
    assert result.stdout.startswith(f"Base URL: {base}\nToken:    {token}\nModels:   smollm2\n")
    assert f"curl {base}/chat/completions -H 'Authorization: Bearer {token}'" in result.stdout


@CtrlC
def test_the_token_stays_the_same_and_may_be_elsewhere(shell: Shell, tmp_path: Path) -> None:
    with_voice = "it's mine"
    shell.places.make()
    with writing(shell.places) as store:
        learnt_voice(store, shell.places, with_voice)
    file = tmp_path / "token"
    first = served(shell, lambda port: None, "--token-file", str(file))
    token = file.read_text().strip()
    second = served(shell, lambda port: None, "--token-file", str(file))
    assert token in first.stdout
    assert token in second.stdout
    assert not (shell.places.config / "server-token").exists()
    assert f"tiny:{with_voice}" in first.stdout


@CtrlC
def test_the_network_is_let_in_only_when_asked_and_with_a_warning(shell: Shell) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "desk.local"):
        refused(shell("serve", "--host", host), host, "--allow-network")
    result = served(shell, lambda port: None, "--host", "0.0.0.0", "--allow-network")
    assert result.exit_code == 0, result.output
    assert "Warning: everybody on the network who has the token" in result.stderr
    assert "Warning" not in served(shell, lambda port: None, "--host", "localhost").stderr


def test_a_port_that_is_taken_is_named(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused(shell("serve", "--port", port), f"{port} is taken", "--port")
    refused(shell("serve", "--host", "192.0.2.1", "--allow-network", "--port", "0"), "192.0.2.1", "--host")


def test_without_its_packages_the_command_that_adds_them_is_said(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    for missing in ("starlette", "uvicorn"):
        monkeypatch.setattr(
            importlib.util,
            "find_spec",
            lambda name, missing=missing: None if name == missing else found(name),
        )
        refused(shell("serve"), "pip install 'idiolect-desktop[serve]'")


def test_the_help_loads_nothing_of_a_server() -> None:
    code = (
        "import sys; from app.cli import cli; cli(sys.argv[1:], standalone_mode=False); "
        "sys.exit(', '.join({'starlette', 'uvicorn', 'asyncio', 'anyio'} & set(sys.modules)) or 0)"
    )
    for arguments in (["--help"], ["serve", "--help"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, cwd=ROOT
        )
        assert done.returncode == 0, done.stderr
        assert "editors and chat programs" in done.stdout
