"""What the engine costs over llama.cpp itself: speed, first token, switching of voices, stopping, memory.

Run as ``python -m tests.bench.engine [--model M] [--json]``. Goes in: a model. Comes out: a table, and with ``--json``
one object. Every ratio is of two things measured in turn in this one run, medians of ``--repeats``. The voices are made
up: what a voice says is of no matter to its speed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from app.errors import KnownError
from app.models import resolve
from tests.bench.environment import settle


@dataclass(frozen=True)
class Target:
    """What a number should be: ``at_least`` or ``at_most`` ``value``; and how it is written."""

    says: str
    value: float
    at_least: bool
    form: str = "{:.3f}"

    def met(self, found: float) -> bool:
        """Whether ``found`` reaches it."""
        return found >= self.value if self.at_least else found <= self.value


TARGETS = {
    "decode_vs_bare": Target("tokens per second, engine ÷ bare llama-cpp-python", 0.97, True),
    "voice_on_vs_off": Target("tokens per second, control vector on ÷ off", 0.98, True),
    "adapter_on_vs_off": Target("tokens per second, rank-2 adapter on ÷ off", 0.95, True),
    "voice_and_adapter_on_vs_off": Target("tokens per second, both on (rank 4) ÷ off", 0.95, True),
    "ttft_turn20_vs_turn2": Target("time to first token, turn 20 ÷ turn 2", 1.2, False),
    "voice_switch_vs_prefill": Target("going back to a voice ÷ reading the conversation", 0.1, False),
    "stop_p99_ms": Target("stopping, 99th percentile, ms", 50.0, False, "{:.1f}"),
    "memory_over_bare_mb": Target("memory of the engine process over bare, MB", 60.0, False, "{:.0f}"),
    "first_token_over_bare_ms": Target("time to first token over bare, ms", 15.0, False, "{:.1f}"),
}


@click.command()
@click.option("--model", help="Id or path, as for idiolect; the default model without it.")
@click.option("--repeats", default=5, show_default=True, help="How often each thing is measured.")
@click.option("--tokens", default=128, show_default=True, help="How long an answer is.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def main(model: str | None, repeats: int, tokens: int, as_json: bool) -> None:
    """Measure the engine against bare llama-cpp-python."""
    settle()
    try:
        found_model = resolve(model)
    except KnownError as error:
        raise click.ClickException(str(error)) from error
    from tests.bench.engine_cases import measure

    def tell(text: str) -> None:
        click.echo(text, err=True)

    with tempfile.TemporaryDirectory(prefix="idiolect-bench-") as folder:
        found = measure(found_model.path, Path(folder), repeats, tokens, tell)
    if as_json:
        click.echo(json.dumps({"model": found_model.name, **found}))
    else:
        report(found_model.name, found, click.echo)


def report(model: str, found: dict[str, float], say: Callable[[str], None]) -> None:
    """The table, in Markdown."""
    say(f"## The engine: {model}, {found['tokens_per_second']:.0f} tokens per second\n")
    say("| what | measured | target | |")
    say("| --- | ---: | ---: | --- |")
    for key, target in TARGETS.items():
        sign, met = "≥" if target.at_least else "≤", "met" if target.met(found[key]) else "missed"
        say(f"| {target.says} | {target.form.format(found[key])} | {sign} {target.value:g} | {met} |")


if __name__ == "__main__":
    main()
