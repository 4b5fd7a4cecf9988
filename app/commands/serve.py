"""``idiolect serve``: the voices for other programs on this computer."""

from __future__ import annotations

import contextlib
import json
import shlex
import threading
from pathlib import Path

import click

from app import console
from app.errors import KnownError
from app.shell import ctrl_c, parts_of, places_of, with_data_dir


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    metavar="N",
    help="0: any that is free.",
)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="The address of this computer to listen on."
)
@click.option("--allow-network", is_flag=True, help="Let --host be an address that other computers reach.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where the token is kept; made at the first start.",
)
@with_data_dir
@click.pass_context
def serve(ctx: click.Context, port: int, host: str, allow_network: bool, token_file: Path | None) -> None:
    """Let editors and chat programs write in your voice, through OpenAI's protocol.

    Enter the base URL and the token it prints in the other program. The models are called smollm2 (plain),
    smollm2:my-voice (a voice), and smollm2:my-voice@0.8 (a voice at that strength, 0–2). Ctrl-C ends it.

    \b
      idiolect serve
      idiolect serve --port 0
    """
    from app.server.run import listen, require_packages, serving

    require_packages()
    from app.logfile import LogFile
    from app.server.access import Access, bracketed, is_loopback, reachable, token_in
    from app.server.answering import Answers
    from app.server.application import Application
    from app.server.naming import Names
    from app.workers.engine_client import Engines

    host = host.strip("[]")
    if not is_loopback(host):
        if not allow_network:
            raise KnownError(
                f"Other computers could reach a server on {host!r}. Leave --host out, or add "
                "--allow-network if that is what you want."
            )
        console.note(
            "Warning: everybody on the network who has the token can read and write with your voices, and what is "
            "sent is not encrypted."
        )
    places, parts = places_of(ctx), parts_of(ctx)
    places.make()
    names = Names(places, parts.find_model)
    with (
        contextlib.closing(Engines(places, parts.make_engine)) as engines,
        listen(host, port) as listening,
    ):
        token = token_in(token_file or places.config / "server-token")
        log = LogFile(places.logs / "idiolect.log")
        answers = Answers(engines)
        application = Application(names, answers, Access(token, host), log, console.note)
        base = f"http://{bracketed(reachable(host))}:{listening.getsockname()[1]}/v1"
        models = [each.name for each in names.listed()]
        stop = threading.Event()
        with (
            ctrl_c(stop.set, "Ending the server …"),
            serving(application, listening) as server,
            contextlib.closing(answers),
        ):
            click.echo(_introduction(base, token, models))
            # Waiting without an end could not be interrupted on Windows.
            while not stop.wait(0.2):
                if not server.is_alive():
                    raise RuntimeError("the server ended by itself")


def _introduction(base: str, token: str, models: list[str]) -> str:
    body = {"model": models[-1], "messages": [{"role": "user", "content": "Cancel the dinner on Friday."}]}
    return (
        f"Base URL: {base}\n"
        f"Token:    {token}\n"
        f"Models:   {console.printable(', '.join(models))}\n"
        "Try it:\n"
        f"  curl {base}/chat/completions -H 'Authorization: Bearer {token}' "
        f"-H 'Content-Type: application/json' -d {shlex.quote(json.dumps(body))}\n"
        "Ctrl-C ends it."
    )
