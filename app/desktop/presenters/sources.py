"""What the person's history holds, as a list to choose from: sources by folder, ticked or not."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from app.desktop.presenters.wording import Sufficiency, sufficiency
from app.history.records import Source


@dataclass(frozen=True)
class SourceLine:
    """One imported file."""

    id: int
    name: str
    documents: int
    passages: int
    words: int
    ticked: bool


@dataclass(frozen=True)
class SourceFolder:
    """The imported files of one folder."""

    path: str
    lines: tuple[SourceLine, ...]

    @property
    def name(self) -> str:
        """The folder's own name."""
        return PurePath(self.path).name or self.path


@dataclass(frozen=True)
class SourcesShown:
    """All sources, and how far the ticked ones go."""

    folders: tuple[SourceFolder, ...] = ()

    @property
    def ticked(self) -> frozenset[int]:
        """The ids of what will be learnt from."""
        return frozenset(line.id for folder in self.folders for line in folder.lines if line.ticked)

    @property
    def words(self) -> int:
        """The words of what will be learnt from."""
        return sum(line.words for folder in self.folders for line in folder.lines if line.ticked)

    @property
    def passages(self) -> int:
        """The passages of what will be learnt from."""
        return sum(line.passages for folder in self.folders for line in folder.lines if line.ticked)

    @property
    def documents(self) -> int:
        """The documents of what will be learnt from."""
        return sum(line.documents for folder in self.folders for line in folder.lines if line.ticked)

    @property
    def sufficiency(self) -> Sufficiency:
        """How far the ticked sources go."""
        return sufficiency(self.words)


def shown(sources: Sequence[Source], unticked: Collection[int]) -> SourcesShown:
    """``sources`` by folder, in the order given; those in ``unticked`` are left out of learning."""
    folders: dict[str, list[SourceLine]] = {}
    for source in sources:
        path = PurePath(source.path)
        line = SourceLine(
            source.id, path.name, source.documents, source.passages, source.words, source.id not in unticked
        )
        folders.setdefault(str(path.parent), []).append(line)
    return SourcesShown(tuple(SourceFolder(path, tuple(lines)) for path, lines in folders.items()))
