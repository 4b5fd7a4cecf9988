"""``idiolect voices``: what was learnt."""

from __future__ import annotations

import click

from app import console
from app.shell import places_of, reading, with_data_dir, with_json, writing
from app.wording import nats


@click.group(invoke_without_command=True)
@with_json
@with_data_dir
@click.pass_context
def voices(ctx: click.Context, as_json: bool) -> None:
    """List the voices learnt so far, with their measured likeness.

    own: how much closer to your own unseen text the voice is than the plain model, others: the same on other
    people's text; both in nats per token, and the lower the closer.

    \b
      idiolect voices
      idiolect voices delete letters
    """
    if ctx.invoked_subcommand is not None:
        return
    with reading(places_of(ctx)) as store:
        found = store.voices() if store is not None else []
    if as_json:
        console.print_json(
            {
                "voices": [
                    {
                        "name": voice.name,
                        "model": voice.model_id,
                        "learnt_at": voice.learnt_at,
                        "pairs": voice.pairs,
                        "strength": voice.strength,
                        "likeness": console.likeness_json(voice.likeness) if voice.likeness else None,
                        "out_of_date": voice.out_of_date,
                    }
                    for voice in found
                ]
            }
        )
    elif not found:
        click.echo("No voice is learnt yet. Learn one: idiolect import PATH…, then idiolect learn")
    else:
        console.table(
            ("voice", "own", "others", "pairs", "model", "learnt", ""),
            [
                (
                    voice.name,
                    nats(voice.likeness.own) if voice.likeness else "",
                    nats(voice.likeness.others) if voice.likeness else "",
                    str(voice.pairs),
                    voice.model_id,
                    (voice.learnt_at or "")[:10],
                    "out of date: its sources changed" if voice.out_of_date else "",
                )
                for voice in found
            ],
        )


@voices.command()
@click.argument("name")
@with_data_dir
@click.pass_context
def delete(ctx: click.Context, name: str) -> None:
    """Delete the voice NAME: its files, its pairs, what was measured. Your history stays."""
    from app.workers.voices import sweep

    places = places_of(ctx)
    with writing(places) as store:
        store.delete_voice(name)
        sweep(store, places)
    click.echo(f"The voice {name!r} is deleted.")
