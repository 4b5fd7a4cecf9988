"""What both benchmarks begin with: the authors, the models, a `Comparison`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

import click

from app.models import resolve
from tests.bench.authors import Author, chosen_authors, read_authors
from tests.bench.bench import Bench, sizes
from tests.bench.comparing import Comparison
from tests.bench.keeping import Keeper
from tests.bench.models import Models
from tests.bench.options import Options

_REQUESTS = Path(__file__).with_name("requests.txt")


@dataclass(frozen=True)
class Opened:
    """``learners``: those to learn from, of ``authors``; ``folder``: where results go, for a while or for good."""

    comparison: Comparison
    authors: list[Author]
    learners: list[Author]
    model_name: str
    folder: Path


@contextmanager
def opened(options: Options) -> Iterator[Opened]:
    """Read the authors, load the models, train the classifier."""
    model = resolve(options.model)
    authors = read_authors(options.voices)
    learners = chosen_authors(authors, options.authors)
    if options.quick and not options.authors:
        learners = learners[:1]
    measured = sizes(options.budget, _REQUESTS.read_text(encoding="utf-8").splitlines(), quick=options.quick)
    tell = partial(click.echo, err=True)
    tell(f"{len(authors)} authors; loading {model.name} and training the classifier")
    with tempfile.TemporaryDirectory(prefix="idiolect-bench-") as temporary:
        folder = (options.out or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        models = Models(model.path, model.weights)
        texts = sha256("\0".join(_texts(authors)).encode()).hexdigest()
        setting = [models.engine.sha256, str(model.weights), repr(measured), options.seed, texts]
        comparison = Comparison(
            Bench(authors, models, measured, options.seed),
            Keeper(folder, setting, resume=options.resume),
            str(model.path),
            str(model.weights),
            options.seed,
            tell,
        )
        try:
            yield Opened(comparison, authors, learners, model.name, folder)
        finally:
            models.close()


def _texts(authors: list[Author]) -> Iterator[str]:
    return (
        passage.text for author in authors for document in author.documents for passage in document.passages
    )
