"""Who may ask: the headers of a request in, nothing or a refusal out; and the file that keeps the token.

Any page a browser shows can send requests to this computer. Three things keep it out: it does not know the token; it
cannot leave out its ``Origin``; and a name of its own that it points at this computer (DNS rebinding) shows in
``Host``.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import re
import secrets
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from app.errors import KnownError
from app.files import write_whole
from app.server.protocol import RefusedError

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_HOST = re.compile(r"(?P<name>\[[^\]]*\]|[^:\[\]]*)(?::\d*)?")
_LOOPBACK_ORIGIN = re.compile(rf"https?://(?:{'|'.join(map(re.escape, _LOOPBACK))})(?::\d+)?")
# Long enough not to be guessed, and nothing a header could not carry.
_TOKEN = re.compile(r"[!-~]{16,}")

Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Access:
    """The rules of one server: its ``token``, and the ``host`` it was asked to listen on."""

    token: str
    host: str

    def check(self, headers: Headers) -> None:
        """Raises RefusedError: 403 for a ``Host`` that is not this server's or the ``Origin`` of a page from
        elsewhere, 401 without the token."""
        found = [(name.lower(), value) for name, value in headers]
        hosts = [value.decode("latin-1").lower() for name, value in found if name == b"host"]
        if len(hosts) != 1 or not self._is_mine(hosts[0]):
            raise RefusedError(
                403,
                "The Host header names another computer. Use the address that `idiolect serve` printed.",
                code="wrong_host",
            )
        for name, value in found:
            if name == b"origin" and not _LOOPBACK_ORIGIN.fullmatch(value.decode("latin-1").lower()):
                raise RefusedError(403, "Pages from elsewhere may not ask here.", code="wrong_origin")
        if not any(self._is_token(value) for name, value in found if name == b"authorization"):
            raise RefusedError(
                401,
                "The token is missing or wrong. Send 'Authorization: Bearer TOKEN', with the token that "
                "`idiolect serve` printed.",
                code="invalid_api_key",
            )

    def _is_mine(self, host: str) -> bool:
        named = _HOST.fullmatch(host)
        if named is None:
            return False
        name = named["name"]
        if name in (*_LOOPBACK, bracketed(self.host).lower()):
            return True
        # Listening on every address, any of them is right; a rebound name is none.
        asked, address = _address(self.host), _address(name.strip("[]"))
        return asked is not None and asked.is_unspecified and address is not None

    def _is_token(self, authorization: bytes) -> bool:
        scheme, _, token = authorization.partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self.token.encode())


def bracketed(host: str) -> str:
    """``host`` as the address of a page spells it."""
    return f"[{host}]" if ":" in host else host


def reachable(host: str) -> str:
    """Where this computer finds a server that listens on ``host``: that, or loopback where it is every address."""
    address = _address(host)
    if address is None or not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"


def is_loopback(host: str) -> bool:
    """Whether only this computer can reach a server that listens on ``host``."""
    address = _address(host)
    return host.lower() == "localhost" or (address is not None and address.is_loopback)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def token_in(path: Path) -> str:
    """The token kept in ``path``; where there is no such file, one is made at random and kept there.

    Raises KnownError, naming the file, when it cannot be read or written, holds no token, or is open to others.
    """
    try:
        token = path.read_text(encoding="ascii").strip()
        mode = path.stat().st_mode
    except FileNotFoundError:
        return _new_token(path)
    except (OSError, UnicodeDecodeError) as error:
        raise KnownError(f"The token file {path} cannot be read: {error}.") from error
    if not _TOKEN.fullmatch(token):
        raise KnownError(
            f"The token file {path} holds no token, which is at least 16 letters, digits or signs without blanks. "
            "Delete it, and a new one is made."
        )
    if os.name != "nt" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KnownError(
            f"Others on this computer can read the token file {path}. Make it yours alone: chmod 600 {path}"
        )
    return token


def _new_token(path: Path) -> str:
    """A new token, written beside ``path`` and then moved there, so that no half of one is ever read."""
    token = secrets.token_urlsafe(32)
    try:
        write_whole(path, f"{token}\n")
    except OSError as error:
        raise KnownError(
            f"The token file {path} cannot be written: {error.strerror or error}. "
            "Choose another place with --token-file FILE."
        ) from error
    return token
