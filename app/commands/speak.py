"""``idiolect say`` and ``idiolect compare``: text in a voice."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from app import console
from app.errors import KnownError
from app.shell import INTERRUPTED, parts_of, places_of, reading, with_data_dir, with_json

if TYPE_CHECKING:
    from app.workers.asking import Reply
    from engine.messages import Sampling

_SEEDS = 2**31


def _speaking(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options `say` and `compare` have in common."""
    for option in (
        click.argument("text", required=False),
        click.option(
            "--voice", metavar="NAME", help="Default: the voice learnt last; 'none' is the plain model."
        ),
        click.option(
            "--strength", type=float, default=1.0, show_default=True, help="0 is the plain model, 2 the most."
        ),
        click.option("--model", metavar="ID|PATH", help="The model to use without a voice."),
        click.option("--seed", type=click.IntRange(0, _SEEDS - 1), help="The same seed gives the same text."),
        click.option("--max-tokens", type=click.IntRange(1), default=400, show_default=True, metavar="N"),
        click.option(
            "--temperature", type=click.FloatRange(0, 5), default=0.7, show_default=True, metavar="T"
        ),
        with_json,
        with_data_dir,
        click.pass_context,
    )[::-1]:
        command = option(command)
    return command


@click.command()
@_speaking
def say(
    ctx: click.Context,
    text: str | None,
    voice: str | None,
    strength: float,
    model: str | None,
    seed: int | None,
    max_tokens: int,
    temperature: float,
    as_json: bool,
) -> None:
    """Answer TEXT in your voice. '-', or nothing with a pipe, reads TEXT from stdin.

    The answer appears as it is written; Ctrl-C stops it.

    \b
      idiolect say "Cancel the dinner on Friday."
      idiolect say "Thank Anna." --voice letters --strength 0.7
      cat notes.txt | idiolect say --voice none
    """
    from app.workers.engine_client import Engines

    request, places = _request(text), places_of(ctx)
    sampling = _sampling(temperature, max_tokens, seed)
    name, speaking_model, use = _voice(ctx, voice, strength, model, tell=not as_json and voice is None)
    engines = Engines(places, parts_of(ctx).make_engine)
    try:
        from app.workers.asking import ask

        reply = ask(
            engines.for_model(speaking_model), request, use, sampling, None if as_json else console.stream
        )
    finally:
        engines.close()
    if as_json:
        console.print_json(
            {**_reply_json(reply), "voice": name, "strength": use.strength if use else 0.0}
            | {"model": speaking_model.id, "seed": reply.finished.seed, "reason": reply.finished.reason}
        )
    else:
        click.echo()
    if reply.finished.reason == "stopped":
        ctx.exit(INTERRUPTED)


@click.command()
@_speaking
def compare(
    ctx: click.Context,
    text: str | None,
    voice: str | None,
    strength: float,
    model: str | None,
    seed: int | None,
    max_tokens: int,
    temperature: float,
    as_json: bool,
) -> None:
    """Answer TEXT twice, plainly and in your voice, with the same seed, side by side.

    \b
      idiolect compare "Invite a friend to dinner on Sunday."
    """
    from app.workers.asking import ask
    from app.workers.engine_client import Engines

    request, places = _request(text), places_of(ctx)
    seed = seed if seed is not None else secrets.randbelow(_SEEDS)
    sampling = _sampling(temperature, max_tokens, seed)
    name, speaking_model, use = _voice(ctx, voice, strength, model, tell=voice is None)
    if voice is None and use is None and strength > 0:
        raise KnownError("There is no voice to compare with yet. Learn one first: idiolect learn")
    engines = Engines(places, parts_of(ctx).make_engine)
    try:
        engine = engines.for_model(speaking_model)
        with console.steps() as shown:
            shown.at("Answering plainly", 0.0)
            plain = ask(engine, request, None, sampling)
            if plain.finished.reason == "stopped":
                raise KeyboardInterrupt
            shown.at("Answering in the voice", 0.5)
            own = ask(engine, request, use, sampling)
            if own.finished.reason == "stopped":
                raise KeyboardInterrupt
    finally:
        engines.close()
    if as_json:
        console.print_json(
            {"request": request, "seed": seed, "model": speaking_model.id, "voice": name}
            | {"strength": use.strength if use else 0.0}
            | {"plain": _reply_json(plain), "own": _reply_json(own)}
        )
    else:
        console.side_by_side("plain", plain.text, f"{name}, strength {strength:g}", own.text)


def _request(text: str | None) -> str:
    """What is asked for: the argument, or stdin for "-" and for a pipe."""
    if text is None and sys.stdin.isatty():
        raise click.UsageError("Missing argument 'TEXT': say what should be written, or pipe it in.")
    if text is None or text == "-":
        text = sys.stdin.buffer.read().decode("utf-8", "replace")
    return text


def _sampling(temperature: float, max_tokens: int, seed: int | None) -> Sampling:
    from engine.messages import Sampling

    return Sampling(temperature=temperature, max_tokens=max_tokens, seed=seed)


def _voice(ctx: click.Context, voice: str | None, strength: float, model: str | None, *, tell: bool) -> Any:
    """The voice's name ("none" for plain), the model, and how the model is steered."""
    from app.workers.voices import PLAIN, newest, use_of

    places = places_of(ctx)
    with reading(places) as store:
        if voice is None and model is None and store is not None:
            latest = newest(store)
            voice = latest.name if latest is not None else None
        if tell:
            console.note(f"Voice: {voice}" if voice else "No voice learnt yet: this is the plain model.")
        found, use = use_of(store, places, voice, strength, model=model, find_model=parts_of(ctx).find_model)
    return (voice or PLAIN), found, use


def _reply_json(reply: Reply) -> dict[str, Any]:
    return {
        "text": reply.text,
        "tokens": reply.finished.tokens,
        "seconds_to_first_token": reply.finished.seconds_to_first_token,
        "tokens_per_second": reply.finished.tokens_per_second,
    }
