"""The plots of the benchmarks, as PNG files. Needs matplotlib, no screen.

Goes in: numbers by method, averaged over authors. Comes out: a file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Numbers = Mapping[str, float]
# Told apart by colour-blind people, too (Okabe and Ito); the others' share of a couple is drawn in the light grey.
_OWN, _OTHERS, _BLUE, _GREEN, _RED = "#0072b2", "#bbbbbb", "#0072b2", "#009e73", "#d55e00"


def likeness_plot(
    path: Path, by_title: Mapping[str, Numbers], points: Sequence[tuple[float, Numbers]]
) -> None:
    """Three panels: change of likelihood by method, attribution against content kept, the curve over strength."""
    figure, (left, middle, right) = _figure(3)
    measured = {title: found for title, found in by_title.items() if "own" in found}
    places = list(range(len(measured)))
    left.barh(places, [found["own"] for found in measured.values()], 0.4, color=_OWN, label="own text")
    left.barh(
        [place + 0.4 for place in places],
        [found["others"] for found in measured.values()],
        0.4,
        color=_OTHERS,
        label="others' text",
    )
    left.set_yticks([place + 0.2 for place in places], list(measured))
    left.invert_yaxis()
    left.axvline(0, color="black", linewidth=0.8)
    left.set_xlabel("change of nats per token, held-out (left = closer)")
    left.legend(frameon=False)

    shown = {
        title: found
        for title, found in by_title.items()
        if "attributed" in found and not math.isnan(found["cosine_ratio"])
    }
    for (title, found), (colour, mark) in zip(shown.items(), _styles(len(shown)), strict=True):
        middle.plot(found["cosine_ratio"], found["attributed"], mark, color=colour, label=title)
    middle.legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(0, -0.15), ncols=2)
    middle.set_xlabel("content kept (MiniLM cosine, ratio to plain)")
    middle.set_ylabel("attributed to the author")
    middle.set_ylim(-0.02, 1.05)

    strengths = [strength for strength, _ in points]
    for name, label, colour in (
        ("attributed", "attributed to the author", _BLUE),
        ("cosine_ratio", "content kept (cosine, ratio)", _GREEN),
        ("perplexity_ratio", "perplexity under the plain model (ratio)", _RED),
    ):
        right.plot(
            strengths, [found.get(name, math.nan) for _, found in points], "o-", color=colour, label=label
        )
    right.set_xlabel("strength")
    right.set_ylim(bottom=0)
    right.legend(frameon=False)
    figure.savefig(path)


def curve_plot(
    path: Path, curves: Mapping[str, Sequence[tuple[int, Numbers]]], budgets: Mapping[str, Numbers]
) -> None:
    """Two panels: change of likelihood over passages by method, and minutes and memory by budget, if any."""
    figure, axes = _figure(2 if budgets else 1)
    left = axes[0]
    for (title, points), (colour, mark) in zip(curves.items(), _styles(len(curves)), strict=True):
        counts = [count for count, _ in points]
        for name, line, label in (("own", "-", title), ("others", ":", None)):
            values = [found.get(name, math.nan) for _, found in points]
            left.plot(counts, values, f"{mark}{line}", color=colour, label=label)
        left.set_xscale("log", base=2)
        left.set_xticks(counts, map(str, counts))
    left.axhline(0, color="black", linewidth=0.8)
    left.set_xlabel("passages in the history")
    left.set_ylabel("change of nats per token (own; dotted: others)")
    left.legend(frameon=False)
    if budgets:
        _budget_panel(axes[1], {name: found for name, found in budgets.items() if "seconds" in found})
    figure.savefig(path)


def _budget_panel(panel: Any, budgets: Mapping[str, Numbers]) -> None:
    panel.bar(list(budgets), [found["seconds"] / 60 for found in budgets.values()], 0.5, color=_OWN)
    for place, found in enumerate(budgets.values()):
        label = f"{found['peak_bytes'] / 2**30:.1f} GB\nown {found['own']:+.2f}"
        panel.annotate(label, (place, found["seconds"] / 60), ha="center", va="bottom")
    panel.margins(y=0.2)
    panel.set_ylabel("minutes to learn")


def _figure(panels: int) -> tuple[Any, Any]:
    from matplotlib.figure import Figure  # type: ignore[import-not-found,unused-ignore]

    figure = Figure(figsize=(6 * panels, 4.5), dpi=120, layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _styles(count: int) -> list[tuple[str, str]]:
    """(colour, mark) for each of ``count`` methods."""
    colours = [_BLUE, _RED, _GREEN, "#cc79a7", "#e69f00", "#56b4e9"]
    marks = "osD^v<>PX*"
    return [(colours[place % len(colours)], marks[place % len(marks)]) for place in range(count)]
