"""Tables in Markdown.

Goes in: rows, or averages over authors. Comes out: text. The columns are explained once, by `LEGEND`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

Numbers = Mapping[str, float]

LEGEND = """
- own, others: change of negative log-likelihood per token (nats, negative = closer) on held-out text of the author and
  of the other authors, at full precision, with the 95 % bootstrap interval over passages. gap: own − others.
- From attributed on it is about the answers to {requests} requests, written by the quantised model (temperature 0.7,
  seed {seed}). attributed: share attributed to the author by a character-n-gram classifier, trained on real training
  text, which is right on {accuracy:.0%} of real held-out passages. words kept, cosine: content words of the request
  that are in the answer, and MiniLM cosine of the two, each with its ratio to the plain model's. finds: answers nearest
  to their own request among all. perplexity: of the answers under the plain model, as a ratio to that of its own
  answers. repeated: word trigrams that occurred before in the answer.
- prompt: tokens added to the prompt. seconds, memory: of a process that does nothing but learn, models loaded within
  it; memory is the peak of RSS, some 230 MB of it Python with the packages that every such process loads. kept: bytes
  of what was learnt.
""".strip()


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with its columns aligned; all but the first stand to the right."""
    lines = [list(map(_cell, line)) for line in (header, *rows)]
    widths = [max(3, *(len(line[place]) for line in lines)) for place in range(len(header))]
    rule = ["-" * width if place == 0 else "-" * (width - 1) + ":" for place, width in enumerate(widths)]
    padded = [
        [
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in (lines[0], rule, *lines[1:])
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def likeness_table(rows: Sequence[tuple[str, Numbers, str]]) -> str:
    """The comparison; each row a title, its numbers and why there are none, or ""."""
    columns: dict[str, Callable[[Numbers], str]] = {
        "own": lambda found: change(found, "own"),
        "others": lambda found: change(found, "others"),
        "gap": lambda found: change(found, "gap"),
        "attributed": lambda found: share(found, "attributed"),
        "words kept": lambda found: with_ratio(found, "overlap", "overlap_ratio"),
        "cosine": lambda found: with_ratio(found, "cosine", "cosine_ratio"),
        "finds": lambda found: share(found, "finds"),
        "perplexity": lambda found: number(found, "perplexity_ratio", "× {:.2f}"),
        "repeated": lambda found: number(found, "repetition", "{:.1%}"),
        "prompt": lambda found: number(found, "prompt_tokens", "{:+.0f}"),
        "seconds": lambda found: number(found, "seconds", "{:.0f}"),
        "memory": lambda found: size(found, "peak_bytes"),
        "kept": lambda found: size(found, "artefact_bytes"),
    }
    return table("method", rows, columns)


def strength_table(points: Sequence[tuple[float, Numbers]]) -> str:
    """The curve over strength."""
    columns: dict[str, Callable[[Numbers], str]] = {
        "attributed": lambda found: share(found, "attributed"),
        "words kept": lambda found: with_ratio(found, "overlap", "overlap_ratio"),
        "cosine": lambda found: with_ratio(found, "cosine", "cosine_ratio"),
        "finds": lambda found: share(found, "finds"),
        "perplexity": lambda found: number(found, "perplexity_ratio", "× {:.2f}"),
        "repeated": lambda found: number(found, "repetition", "{:.1%}"),
    }
    return table("strength", [(f"{strength:g}", found, "") for strength, found in points], columns)


def table(
    first: str, rows: Sequence[tuple[str, Numbers, str]], columns: Mapping[str, Callable[[Numbers], str]]
) -> str:
    """A table of numbers; under it why rows are empty, or do not hold for all."""
    text = markdown(
        [first, *columns],
        [[title, *(write(found) for write in columns.values())] for title, found, _ in rows],
    )
    reasons = [f"- {title}: {_cell(why)}" for title, _, why in rows if why]
    return "\n".join([text, "", *reasons]) if reasons else text


def number(found: Numbers, name: str, form: str) -> str:
    """The number ``name``; a dash where there is none."""
    value = found.get(name, math.nan)
    return "–" if math.isnan(value) else form.format(value).replace("-", "−")


def change(found: Numbers, name: str) -> str:
    """A change in nats with its interval."""
    return number(found, name, "{:+.3f}") + _interval(found, name, "{:+.2f}")


def share(found: Numbers, name: str) -> str:
    """A share in percent with its interval, where it has one."""
    return number(found, name, "{:.0%}") + _interval(found, name, "{:.0%}")


def with_ratio(found: Numbers, name: str, ratio: str) -> str:
    """A number, and its ratio to the plain model's."""
    return f"{number(found, name, '{:.2f}')} ({number(found, ratio, '{:.2f}')})" if name in found else "–"


def size(found: Numbers, name: str) -> str:
    """Bytes, in the unit that reads best."""
    value = found.get(name, 0.0)
    if not value:
        return "–"
    for unit, scale in (("GB", 2**30), ("MB", 2**20), ("KB", 2**10)):
        if value >= scale:
            return f"{value / scale:.1f} {unit}" if value < 100 * scale else f"{value / scale:.0f} {unit}"
    return f"{value:.0f} B"


def _interval(found: Numbers, name: str, form: str) -> str:
    low = f"{name}_low"
    return f" [{number(found, low, form)}, {number(found, f'{name}_high', form)}]" if low in found else ""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
