"""The methods that are compared, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.errors import KnownError

if TYPE_CHECKING:
    from tests.bench.lesson import Method

PLAIN = "plain"
PLAIN_TITLE = "plain model"
DEFAULT = "default"
# The order of the table. The methods beyond it are learnt when they are named.
STANDARD = ("insight", "retrieved", "mean-difference", "pca", "chameleon", "chameleon-chosen", DEFAULT)
NAMES = (*STANDARD, "chameleon-history")


def method_named(name: str) -> Method:
    """The method called ``name``, of `NAMES`. Modules are loaded when needed: they count as memory of learning."""
    if name == DEFAULT:
        from tests.bench.product import Default

        return Default()
    if name in ("insight", "retrieved"):
        from tests.bench.prompting import Insight, Retrieved

        return Insight() if name == "insight" else Retrieved()
    from tests.bench import steering

    found = {
        method.name: method
        for method in (
            steering.MEAN_DIFFERENCE,
            steering.PRINCIPAL,
            steering.CHAMELEON,
            steering.CHAMELEON_CHOSEN,
            steering.CHAMELEON_HISTORY,
        )
    }
    return found[name]


def chosen_methods(names: Sequence[str]) -> list[str]:
    """The names to learn, without the plain model, which is always measured. Raises KnownError for an unknown one."""
    wanted = [name for name in names if name != PLAIN] if names else list(STANDARD)
    if unknown := [name for name in wanted if name not in NAMES]:
        raise KnownError(f"There is no method {unknown[0]!r}; there are {PLAIN}, {', '.join(NAMES)}.")
    return wanted
