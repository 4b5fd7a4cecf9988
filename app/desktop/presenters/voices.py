"""Which voice writes, and how strongly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal

from app.desktop.bridge import Background
from app.desktop.presenters.wording import closeness
from app.history.records import Voice

STRONGEST = 2.0
PLAIN_NAME = "Plain model"


@dataclass(frozen=True)
class VoiceLine:
    """A voice to pick: ``recommended`` is the strength that measured best, ``summary`` its likeness."""

    name: str
    summary: str
    recommended: float
    out_of_date: bool


@dataclass(frozen=True)
class VoiceChoice:
    """What can be picked and what is: ``selected`` None is the plain model."""

    lines: tuple[VoiceLine, ...] = ()
    selected: str | None = None
    strength: float = 1.0

    @property
    def line(self) -> VoiceLine | None:
        """The voice that is picked; None for the plain model."""
        return next((line for line in self.lines if line.name == self.selected), None)


class VoicesPresenter(QObject):
    """Emits ``changed`` with the new `VoiceChoice` whenever there is one."""

    changed = Signal(object)

    def __init__(self, selected: str | None = None, strength: float = 1.0) -> None:
        """``selected`` and ``strength``: as the person left them; a voice that is gone becomes the plain model
        once the voices are known."""
        super().__init__()
        self._wanted = selected
        self.choice = VoiceChoice(strength=strength)
        self._read: Callable[[], Sequence[Voice]] | None = None
        self._background: Background | None = None

    @property
    def remembered(self) -> str | None:
        """The voice to come back to at the next start."""
        return self.choice.selected if self._wanted is None else self._wanted

    def connect_to(self, read: Callable[[], Sequence[Voice]], background: Background) -> None:
        """Begin: ``read`` gives the voices of the store."""
        self._read, self._background = read, background
        self.refresh()

    def refresh(self, select: str | None = None) -> None:
        """Read the voices again, and then pick ``select`` at its recommended strength where it is given."""
        if self._read is None or self._background is None:
            return
        self._background.run(self._read, lambda voices: self._show(voices, select))

    def select(self, name: str | None) -> None:
        """Pick a voice, at the strength that measured best for it; None is the plain model."""
        line = next((line for line in self.choice.lines if line.name == name), None)
        if line is None:
            self._set(VoiceChoice(self.choice.lines, None, self.choice.strength))
        else:
            self._set(VoiceChoice(self.choice.lines, line.name, line.recommended))

    def set_strength(self, strength: float) -> None:
        """Write with ``strength``: 0 is plain, `STRONGEST` the most."""
        strength = round(min(max(strength, 0.0), STRONGEST), 2)
        self._set(VoiceChoice(self.choice.lines, self.choice.selected, strength))

    def _show(self, voices: Sequence[Voice], select: str | None) -> None:
        lines = tuple(
            VoiceLine(each.name, closeness(each.likeness), min(each.strength, STRONGEST), each.out_of_date)
            for each in voices
        )
        names = {line.name for line in lines}
        wanted = self._wanted or self.choice.selected
        self._wanted = None
        strength = self.choice.strength
        self._set(VoiceChoice(lines, wanted if wanted in names else None, strength))
        if select in names:
            self.select(select)

    def _set(self, choice: VoiceChoice) -> None:
        if choice != self.choice:
            self.choice = choice
            self.changed.emit(choice)
