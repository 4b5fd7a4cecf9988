"""A server on this computer that sends one file, well or badly, and remembers what it was asked."""

from __future__ import annotations

import http.server
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from app.models import CatalogueEntry

ETAG = '"first"'


class Behaviour(Protocol):
    """Answers one request of ``asked`` for ``content``."""

    def __call__(self, asked: Asked, content: bytes) -> None: ...


class Asked(http.server.BaseHTTPRequestHandler):
    """One request; an answer is put together by `say` and `send`."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.close_connection = True
        with self.server.lock:
            self.server.requests.append(
                Request(self.path, self.headers.get("Range"), self.headers.get("If-Range"))
            )
            behave = self.server.script.popleft() if self.server.script else self.server.usual
        behave(self, self.server.content)

    @property
    def start(self) -> int:
        """Where the range that was asked for begins; 0 for all, or when the file is another one by now."""
        wanted = self.headers.get("Range")
        if wanted is None or self.headers.get("If-Range", self.server.etag) != self.server.etag:
            return 0
        return int(wanted.removeprefix("bytes=").removesuffix("-"))

    def say(self, status: int, **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def send(self, data: bytes) -> None:
        try:
            self.wfile.write(data)
        except OSError:
            return  # the other side had enough
        self.server.requests[-1].sent += len(data)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        return


@dataclass
class Request:
    path: str
    range: str | None
    if_range: str | None
    sent: int = 0


class Server(http.server.ThreadingHTTPServer):
    """Sends ``content``. ``script``: what it does with the next requests, instead of the ``usual``."""

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.content, self.etag = content, ETAG
        self.requests: list[Request] = []
        self.script: deque[Behaviour] = deque()
        self.usual: Behaviour = well
        self.lock = threading.Lock()

    def url(self, path: str = "/m.gguf") -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def entry(self, **fields: Any) -> CatalogueEntry:
        """The model it sends, as the catalogue would have it."""
        known: dict[str, Any] = {
            "id": "tiny",
            "name": "Tiny",
            "family": "Tiny",
            "licence": "MIT",
            "quantisation": "Q4_K_M",
            "parameters": "2K",
            "memory_mb": 100,
            "url": self.url(),
        }
        return CatalogueEntry(**known | fields)


@contextmanager
def serving(content: bytes) -> Iterator[Server]:
    with Server(content) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def answer(asked: Asked, content: bytes, *, only: int | None = None, **more: object) -> None:
    """The right answer, of whose body only the first ``only`` bytes come."""
    start, size, etag = asked.start, len(content), asked.server.etag
    if start >= size:
        asked.say(416, Content_Range=f"bytes */{size}", Content_Length=0)
        return
    part = content[start:]
    ranged = {"Content_Range": f"bytes {start}-{size - 1}/{size}"} if start else {}
    asked.say(206 if start else 200, Content_Length=len(part), ETag=etag or None, **ranged, **more)
    asked.send(part[:only])


def well(asked: Asked, content: bytes) -> None:
    answer(asked, content)


def breaking_off(after: int) -> Behaviour:
    return lambda asked, content: answer(asked, content, only=after)


def stating(sha256: str) -> Behaviour:
    """As Hugging Face: the sum of the file stands beside the redirect to where it lies."""

    def redirect(asked: Asked, content: bytes) -> None:
        asked.say(302, Location="/elsewhere/m.gguf", X_Linked_ETag=f'"{sha256}"', Content_Length=0)

    return redirect


def redirecting(to: str) -> Behaviour:
    return lambda asked, content: asked.say(302, Location=to, Content_Length=0)


def answering(status: int) -> Behaviour:
    return lambda asked, content: asked.say(status, Content_Length=0)


def announcing(length: Callable[[int], int]) -> Behaviour:
    """All of the file, and another length than it has."""

    def lie(asked: Asked, content: bytes) -> None:
        if asked.start:
            answer(asked, content)
            return
        asked.say(200, Content_Length=length(len(content)), ETag=asked.server.etag)
        asked.send(content)

    return lie


def ignoring_ranges(asked: Asked, content: bytes) -> None:
    asked.say(200, Content_Length=len(content), ETag=asked.server.etag)
    asked.send(content)


def ranging(told: str) -> Behaviour:
    """What was asked for, called something else: ``told`` with {start}, {last} and {size}."""

    def lie(asked: Asked, content: bytes) -> None:
        if not asked.start:
            answer(asked, content)
            return
        part = content[asked.start :]
        called = told.format(start=asked.start, last=len(content) - 1, size=len(content))
        asked.say(206, Content_Length=len(part), Content_Range=called, ETag=asked.server.etag)
        asked.send(part)

    return lie


def chunked(asked: Asked, content: bytes) -> None:
    """The part that was asked for and nine bytes more, without a length beforehand."""
    part = content[asked.start :] + b"too much!"
    size = len(content)
    asked.say(
        206,
        Transfer_Encoding="chunked",
        Content_Range=f"bytes {asked.start}-{size - 1}/{size}",
        ETag=asked.server.etag,
    )
    asked.send(f"{len(part):x}\r\n".encode() + part + b"\r\n0\r\n\r\n")
