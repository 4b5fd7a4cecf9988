"""Getting a model from the network: the only code in this program that talks to one.

Goes in: a model of the catalogue that has a url, after the person agreed. Comes out: its file in the models folder,
checked and entered in the registry; or a KnownError.

Nothing is sent but the request for that file. It goes to https addresses only, redirects included, through the
proxies the environment names. What has come is kept whatever happens, and the next call goes on from there.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import urljoin, urlsplit

from app.errors import KnownError
from app.models import CatalogueEntry
from app.modelstore.header import read_header
from app.modelstore.partial import Facts, Part, check_room
from app.modelstore.registry import Registered, Registry, models_folder, sha256_of
from app.places import Places

# Bytes that have come, bytes in all, bytes per second.
OnProgress = Callable[[int, int, float], None]

# Between one try and the next; a try that brings `_WORTH` bytes is none in vain, and counting begins anew.
PAUSES = (1.0, 3.0, 9.0, 27.0)
_WORTH = 2**20
_TIMEOUT_SECONDS = 30.0
_MOST_REDIRECTS = 5
_MOVED = (301, 302, 303, 307, 308)
_WHOLE, _PARTIAL, _NO_SUCH_RANGE = 200, 206, 416
_BUSY = (408, 425, 429)
_PIECE = 2**18
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_MAGIC = b"GGUF"


class Stopped(Exception):  # noqa: N818 - not an error: the person wanted it
    """The download was stopped; what has come is kept."""


class _DroppedError(Exception):
    """The connection could not be made or broke off; another try may do. The message says why."""


class _ChangedError(Exception):
    """The server does not go on with the file it began; it was thrown away. The message says what came instead."""


class _Headers(Protocol):
    def get(self, name: str, default: str = ...) -> str: ...


class _Response(Protocol):
    """What is used of an answer of http."""

    status: int
    headers: _Headers

    def read(self, count: int) -> bytes: ...
    def read1(self, count: int) -> bytes: ...
    def close(self) -> None: ...


def target_of(places: Places, entry: CatalogueEntry) -> Path:
    """Where the file of ``entry`` is put."""
    return models_folder(places) / f"{entry.id}.gguf"


def get(
    entry: CatalogueEntry,
    places: Places,
    *,
    on_progress: OnProgress = lambda done, total, speed: None,
    on_check: Callable[[int, int], None] = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
    allow_loopback: bool = False,
    pauses: Sequence[float] = PAUSES,
) -> Registered:
    """Get the model ``entry``, going on where an earlier call ended. The person has agreed to it.

    ``on_check`` gets the bytes checked and all bytes, when they have come. ``allow_loopback`` is for tests: http
    addresses of this computer count as safe. Raises Stopped once ``should_stop`` says so, and KnownError when the
    file cannot be had, is not the right one, or is no model; what is right of it is kept.
    """
    target, registry = target_of(places, entry), Registry(places)
    with _alone(target):
        known = registry.find(entry.id)
        if known is not None and known.path.is_file():
            return known
        part = Part(target)
        if part.facts is not None and part.facts.url != entry.url:
            part.discard()
        _Download(entry, part, _Link(allow_loopback), on_progress, should_stop).run(pauses)
        assert part.facts is not None
        total = part.facts.size

        def checking(done: int) -> None:
            if should_stop():
                raise Stopped
            on_check(done, total)

        model = _checked(entry, part, target, sha256_of(part.path, checking))
        # Entered before it is there: a file that is there but not entered would be nobody's.
        registry.put(model)
        part.finish()
    return model


def _checked(entry: CatalogueEntry, part: Part, target: Path, digest: str) -> Registered:
    """The model in ``part``, which is thrown away when it is not the right one."""
    assert part.facts is not None
    expected = (entry.sha256 or part.facts.sha256 or digest).lower()
    if digest != expected:
        part.discard()
        raise KnownError(
            f"What came from {entry.url} is not the file it should be, and was deleted: its SHA-256 is {digest}, "
            f"expected was {expected}. Try again later, or add the model from a file: idiolect models add FILE"
        )
    try:
        header = read_header(part.path)
    except KnownError as error:
        part.discard()
        raise KnownError(f"What came from {entry.url} cannot be used, and was deleted. {error}") from error
    return Registered.of(header, model_id=entry.id, name=entry.name, path=target, sha256=digest)


@contextlib.contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Be the one program that gets ``target``. Raises KnownError while another one does."""
    from filelock import FileLock, Timeout

    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(target.with_suffix(".lock"), timeout=0, mode=0o600)
        lock.acquire()
    except Timeout as error:
        raise KnownError(f"Another Idiolect is getting {target.name} already. Wait for it to end.") from error
    except (OSError, NotImplementedError) as error:
        raise KnownError(f"The folder {target.parent} cannot be written to ({error}).") from error
    try:
        yield
    finally:
        lock.release()


class _Link:
    """Asks for files, and follows redirects as far as they are safe."""

    def __init__(self, allow_loopback: bool) -> None:
        import urllib.request

        self._allow_loopback = allow_loopback
        self._opener = urllib.request.OpenerDirector()
        # Not the usual opener, which also reads files and ftp, follows redirects anywhere and knows passwords.
        for handler in (urllib.request.ProxyHandler, urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
            self._opener.add_handler(handler())

    @contextlib.contextmanager
    def asking(self, url: str, headers: Mapping[str, str]) -> Iterator[tuple[_Response, str]]:
        """The answer to a request for ``url``, and the SHA-256 that was stated on the way to it ("": none).

        Raises KnownError for an address that is not safe, and _DroppedError when there is no answer.
        """
        import http.client
        import urllib.request

        sha256, asked = "", url
        for _ in range(_MOST_REDIRECTS + 1):
            self._check(asked)
            try:
                request = urllib.request.Request(asked, headers={"User-Agent": "idiolect", **headers})
                answer: _Response | None = self._opener.open(request, timeout=_TIMEOUT_SECONDS)
            # ValueError: a redirect to something that cannot be written as an address.
            except (OSError, ValueError, http.client.HTTPException) as error:
                raise _DroppedError(_reason(error)) from error
            assert answer is not None
            with contextlib.closing(answer) as response:
                sha256 = sha256 or _stated_sha256(response.headers)
                location = response.headers.get("Location", "")
                if response.status not in _MOVED or not location:
                    yield response, sha256
                    return
            with contextlib.suppress(ValueError):  # what is no address is not joined, and refused as it is
                location = urljoin(asked, location)
            asked = location
        raise KnownError(f"{url} was redirected more than {_MOST_REDIRECTS} times. Try again later.")

    def read(self, response: _Response, count: int) -> bytes:
        """Up to ``count`` bytes, as soon as there are some; none at the end. Raises _DroppedError."""
        import http.client

        try:
            return response.read1(count)
        except (OSError, http.client.HTTPException) as error:
            raise _DroppedError(_reason(error)) from error

    def _check(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            scheme, host = parts.scheme, parts.hostname
        except ValueError:
            scheme, host = "", None
        if host and (scheme == "https" or (self._allow_loopback and scheme == "http" and host in _LOOPBACK)):
            return
        raise KnownError(
            f"The address {url} is not a secure one (https), so nothing is got from it. Get the file by other means "
            "and add it: idiolect models add FILE"
        )


class _Download:
    """Makes ``part`` complete, in as many requests as it takes."""

    def __init__(
        self,
        entry: CatalogueEntry,
        part: Part,
        link: _Link,
        on_progress: OnProgress,
        should_stop: Callable[[], bool],
    ) -> None:
        self._entry, self._part, self._link = entry, part, link
        self._on_progress, self._should_stop = on_progress, should_stop

    def run(self, pauses: Sequence[float]) -> None:
        """Ask until all has come. Raises Stopped, and KnownError when another try would be in vain."""
        in_vain, furthest, begun_anew = 0, self._part.done, False
        while not self._part.complete:
            self._stop_if_wanted()
            try:
                self._try()
            except _ChangedError as error:
                if begun_anew:
                    raise KnownError(
                        f"{self._entry.url} cannot be got: {error}, twice. Try again later."
                    ) from error
                begun_anew = True
            except _DroppedError as error:
                if self._part.done >= furthest + _WORTH:
                    in_vain = 0
                furthest = max(furthest, self._part.done)
                if in_vain == len(pauses):
                    raise KnownError(
                        f"{self._entry.url} cannot be got: {error}. Check the connection to the network and run the "
                        f"same command again; it goes on behind the {self._part.done:,} bytes that have come."
                    ) from error
                self._pause(pauses[in_vain])
                in_vain += 1

    def _try(self) -> None:
        """One request, and what comes of it into the part."""
        known = self._part.facts
        # Without a mark of its version and without a sum it could be continued with another file.
        if known is not None and not (known.etag or known.sha256 or self._entry.sha256):
            known = None
        start = self._part.done if known is not None else 0
        headers = {"Range": f"bytes={start}-"} if start else {}
        if start and known is not None and known.etag:
            headers["If-Range"] = known.etag
        with self._link.asking(self._entry.url, headers) as (response, sha256):
            if response.status == _WHOLE:
                self._begin(response, sha256)
            elif response.status == _PARTIAL and start:
                self._go_on(response, sha256, start)
            elif response.status == _NO_SUCH_RANGE and start:
                self._part.discard()
                raise _ChangedError("the server knows no such part of it")
            else:
                self._refuse(response.status)
            self._receive(response)

    def _begin(self, response: _Response, sha256: str) -> None:
        url, length = self._entry.url, response.headers.get("Content-Length", "")
        if not re.fullmatch(r"[0-9]{1,15}", length):
            raise KnownError(
                f"{url} cannot be got: the server does not say how large it is. Try again later."
            )
        size = int(length)
        if self._entry.sha256 and self._entry.size not in (None, size):
            raise KnownError(
                f"What {url} offers is not the file it should be: {size:,} bytes instead of {self._entry.size:,}. "
                "Try again later, or add the model from a file: idiolect models add FILE"
            )
        # What is there of it goes, when the server does not go on with it.
        check_room(self._part.path.parent, max(0, size - self._part.done), size)
        start = self._first_bytes(response)
        if start != _MAGIC:
            raise KnownError(
                f"What {url} sends is not a GGUF model file. Where a network asks you to sign in first, do that; "
                "then try again."
            )
        etag = response.headers.get("ETag", "")
        # A weak mark ("W/…") does not promise the same bytes.
        self._part.begin(Facts(url, size, etag if etag.startswith('"') else "", sha256))
        with self._part.growing() as file:
            self._part.append(file, start)

    def _first_bytes(self, response: _Response) -> bytes:
        start = b""
        while len(start) < len(_MAGIC):
            data = self._link.read(response, len(_MAGIC) - len(start))
            if not data:
                raise _DroppedError("the connection ended at once")
            start += data
        return start

    def _go_on(self, response: _Response, sha256: str, start: int) -> None:
        """Make sure that what comes now belongs behind what is there."""
        facts = self._part.facts
        assert facts is not None
        told = re.fullmatch(
            r"bytes ([0-9]{1,15})-[0-9]{1,15}/([0-9]{1,15})", response.headers.get("Content-Range", "")
        )
        same_version = not (sha256 and facts.sha256) or sha256 == facts.sha256
        if told is None or (int(told[1]), int(told[2])) != (start, facts.size) or not same_version:
            self._part.discard()
            raise _ChangedError("the server sends another part than the one asked for")
        check_room(self._part.path.parent, facts.size - start, facts.size)

    def _receive(self, response: _Response) -> None:
        """Take what comes, up to the size that was announced."""
        part = self._part
        assert part.facts is not None
        size, start, began = part.facts.size, part.done, time.monotonic()
        with part.growing() as file:
            while part.done < size:
                self._stop_if_wanted()
                data = self._link.read(response, min(_PIECE, size - part.done))
                if not data:
                    raise _DroppedError(f"the connection ended after {part.done:,} of {size:,} bytes")
                part.append(file, data)
                seconds = max(time.monotonic() - began, 1e-3)
                self._on_progress(part.done, size, (part.done - start) / seconds)
        with contextlib.suppress(_DroppedError):
            if self._link.read(response, 1):
                raise KnownError(
                    f"{self._entry.url} sent more than the {size:,} bytes it announced; these are kept. Run the same "
                    "command again to have them checked."
                )

    def _refuse(self, status: int) -> None:
        if status in _BUSY or status >= 500:
            raise _DroppedError(f"the server is busy or out of order (it answered {status})")
        raise KnownError(
            f"{self._entry.url} cannot be got: the server answered {status}. The file may have moved; get it by other "
            "means and add it: idiolect models add FILE"
        )

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._stop_if_wanted()
            time.sleep(min(left, 0.1))

    def _stop_if_wanted(self) -> None:
        if self._should_stop():
            raise Stopped


def _stated_sha256(headers: _Headers) -> str:
    """The sum of the file that Hugging Face states beside its redirect. A plain ETag may be anything."""
    told = headers.get("X-Linked-ETag", "").removeprefix("W/").strip('"').lower()
    return told if re.fullmatch(r"[0-9a-f]{64}", told) else ""


def _reason(error: Exception) -> str:
    """Why there is no connection, in a line; urllib packs one error into another."""
    inner = getattr(error, "reason", error)
    return str(inner) or type(error).__name__
