"""What a method learnt, in the one form in which everything is scored and generated.

A method changes the prompt (its system prompt, passages put into it), or the model (a control vector, an adapter),
or both. An `Artefact` holds the one and the paths of the other, and travels between processes as JSON.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from engine.messages import ChatTurn, VoiceUse
from resources import read_text

if TYPE_CHECKING:
    from tests.bench.retrieval import Retriever

# Passages put into the prompt of each request.
RETRIEVED = 2
_RETRIEVED_PROMPT = Path(__file__).with_name("prompts") / "retrieved.txt"


@dataclass(frozen=True)
class Artefact:
    """``system``: the system prompt; ``passages``: those to retrieve from, none where nothing is retrieved.

    ``control_vector`` and ``adapter``: paths of the voice's files, "" where it has not that one; ``strength``: the one
    recommended. ``notes``: what the method chose while learning, by name.
    """

    system: str
    passages: tuple[str, ...] = ()
    control_vector: str = ""
    adapter: str = ""
    strength: float = 1.0
    notes: dict[str, str] = field(default_factory=dict)

    def turns(self, request: str) -> tuple[ChatTurn, ...]:
        """The conversation that asks for an answer to ``request``."""
        return ChatTurn("system", self._system_for(request)), ChatTurn("user", request)

    def voice(self, strength: float | None = None) -> VoiceUse | None:
        """The voice to answer in, at ``strength`` or the one recommended; None where only the prompt differs."""
        if not (self.control_vector or self.adapter):
            return None
        return VoiceUse(
            self.control_vector, self.strength if strength is None else strength, adapter=self.adapter
        )

    @property
    def changes_prompt(self) -> bool:
        """Whether its prompts are others than the plain model's."""
        return bool(self.passages) or self.system != plain().system

    @property
    def size(self) -> int:
        """Bytes to be kept: files, passages, and a system prompt of its own."""
        files = sum(Path(name).stat().st_size for name in (self.control_vector, self.adapter) if name)
        prompt = len(self.system.encode()) if self.system != plain().system else 0
        return files + prompt + sum(len(passage.encode()) for passage in self.passages)

    def _system_for(self, request: str) -> str:
        if not self.passages:
            return self.system
        # Before the request, the passage most like it stands last.
        found = self._retriever.best(request, RETRIEVED)[::-1]
        template = _RETRIEVED_PROMPT.read_text(encoding="utf-8").strip()
        return template.format(system=self.system, passages="\n\n".join(found))

    @cached_property
    def _retriever(self) -> Retriever:
        # Here, so that the memory of learning is not that of scikit-learn.
        from tests.bench.retrieval import Retriever

        return Retriever(self.passages)


def plain() -> Artefact:
    """The plain model: the system prompt the product always gives, and nothing else."""
    return Artefact(read_text("prompts", "system.txt"))
