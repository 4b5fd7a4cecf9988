"""Who may ask, and the file with the token."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from app.errors import KnownError
from app.server.access import Access, is_loopback, token_in
from app.server.application import LARGEST_BODY
from app.server.protocol import RefusedError
from tests.app.server.served import HELLO, TOKEN, Served

BEARER = (b"authorization", f"Bearer {TOKEN}".encode())


def status(access: Access, *headers: tuple[bytes, bytes]) -> int:
    """What a request with these headers gets; 200 when it is let in."""
    try:
        access.check(headers)
    except RefusedError as refused:
        return refused.status
    return 200


def test_the_token_is_needed_for_everything(served: Served) -> None:
    openai = pytest.importorskip("openai", reason="openai is not installed (extra test)")
    for token in ("wrong", f"{TOKEN}x", TOKEN[:-1], TOKEN.upper()):
        with pytest.raises(openai.AuthenticationError, match="idiolect serve") as caught:
            served.client(token).models.list()
        assert caught.value.code == "invalid_api_key"
    reply = served.http(headers={"Authorization": ""}).post("/v1/chat/completions", json=HELLO)
    assert (reply.status_code, reply.headers["www-authenticate"]) == (401, "Bearer")
    assert served.engine.asked == []


def test_a_rebound_name_and_pages_from_elsewhere_are_refused(served: Served) -> None:
    for name, value, expected in (
        ("Host", "evil.example", 403),
        ("Host", "127.0.0.1.evil.example:8765", 403),
        ("Host", "localhost:1", 200),
        ("Host", "[::1]:8765", 200),
        ("Origin", "https://evil.example", 403),
        ("Origin", "null", 403),
        ("Origin", "http://localhost.evil.example", 403),
        ("Origin", "http://localhost:3000", 200),
    ):
        reply = served.http().get("/v1/models", headers={name: value})
        assert reply.status_code == expected, (name, value)
        assert not [header for header in reply.headers if header.startswith("access-control")]
    preflight = served.http().options("/v1/chat/completions", headers={"Origin": "https://evil.example"})
    assert preflight.status_code == 403


def test_the_host_asked_for_is_a_name_of_the_server() -> None:
    named = Access(TOKEN, "Desk.Local")
    assert status(named, BEARER, (b"host", b"desk.local:8765")) == 200
    assert status(named, BEARER, (b"host", b"192.168.1.5:8765")) == 403
    for everywhere in (Access(TOKEN, "0.0.0.0"), Access(TOKEN, "::")):
        assert status(everywhere, BEARER, (b"host", b"192.168.1.5:8765")) == 200
        assert status(everywhere, BEARER, (b"host", b"[fe80::1]:8765")) == 200
        assert status(everywhere, BEARER, (b"host", b"desk.local:8765")) == 403
    six = Access(TOKEN, "fe80::1")
    assert status(six, BEARER, (b"host", b"[fe80::1]")) == 200
    local = Access(TOKEN, "127.0.0.1")
    assert status(local, BEARER, (b"host", b"192.168.1.5:8765")) == 403
    assert status(local, BEARER) == 403
    assert status(local, BEARER, (b"host", b"localhost"), (b"host", b"evil.example")) == 403
    assert status(local, (b"authorization", b"Basic " + TOKEN.encode()), (b"host", b"localhost")) == 401
    assert status(local, (b"authorization", b"Bearer \xff\xfe"), (b"host", b"localhost")) == 401


def test_loopback_is_told_from_the_network() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.0.0.2", "::1", "localhost", "LOCALHOST")))
    assert not any(
        map(is_loopback, ("0.0.0.0", "::", "192.168.1.5", "localhost.evil.example", "desk.local", ""))
    )


def test_a_body_too_large_is_refused(served: Served) -> None:
    http = served.http()
    whole = http.post("/v1/chat/completions", content=b" " * (LARGEST_BODY + 1))
    in_pieces = http.post("/v1/chat/completions", content=(b" " * 65536 for _ in range(17)))
    for reply in (whole, in_pieces):
        assert (reply.status_code, reply.json()["error"]["code"]) == (413, "too_large")
    assert http.post("/v1/chat/completions", content=b" " * LARGEST_BODY).status_code == 400, (
        "that is no JSON"
    )


def test_a_token_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "server-token"
    token = token_in(file)
    assert len(token) >= 32
    assert token_in(file) == token
    assert list(tmp_path.iterdir()) == [file]
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert token_in(tmp_path / "other") != token


def test_a_token_file_that_is_no_good_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "server-token"
    for content in ("", "short", "a token with blanks in it", "ein-Schlüssel-mit-Umlaut"):
        file.write_text(content, encoding="utf-8")
        file.chmod(0o600)
        with pytest.raises(KnownError, match="server-token"):
            token_in(file)
    with pytest.raises(KnownError, match=r"cannot be written.*--token-file"):
        token_in(tmp_path / "nowhere" / "token")
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
def test_a_token_file_open_to_others_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "server-token"
    file.write_text(TOKEN)
    for mode in (0o644, 0o640, 0o604):
        file.chmod(mode)
        with pytest.raises(KnownError, match="chmod 600"):
            token_in(file)
    file.chmod(0o600)
    assert token_in(file) == TOKEN
