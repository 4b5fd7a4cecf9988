"""An application put on a port: a socket that listens, and uvicorn serving it in a thread of its own, which leaves
Ctrl-C to the main thread."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import socket
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from app.errors import KnownError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

# How long the end of the server waits for a client that does not read what it is sent.
_PATIENCE_SECONDS = 3


def require_packages() -> None:
    """Raises KnownError, with the one command that mends it, when the extra ``serve`` is not installed."""
    if any(importlib.util.find_spec(name) is None for name in ("starlette", "uvicorn")):
        raise KnownError(
            "The server needs packages that are not installed. Add them with:\n"
            "  pip install 'idiolect-desktop[serve]'"
        )


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; ``port`` 0 is any that is free. Raises KnownError naming the port when it is taken, or the
    address when it is none of this computer's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise KnownError(
                f"The port {port} is taken, perhaps by another `idiolect serve`. End that one, or choose another "
                "port with --port N (0: any that is free)."
            ) from error
        raise KnownError(
            f"The server cannot listen on {host}, port {port}: {error.strerror or error}. Choose others with "
            "--host and --port."
        ) from error


@contextlib.contextmanager
def serving(application: ASGIApp, listening: socket.socket) -> Iterator[threading.Thread]:
    """Serve ``application`` while the body runs; the thread that does it, which ends sooner only if it fails."""
    import uvicorn

    server = uvicorn.Server(
        uvicorn.Config(
            application,
            # The one implementation that is always there, whatever else is installed.
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            # Bugs are logged by the application, and requests are nobody's business.
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_PATIENCE_SECONDS,
        )
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="server", daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        server.should_exit = True
        thread.join()
