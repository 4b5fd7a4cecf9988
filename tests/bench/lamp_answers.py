"""How a question of LaMP is answered: by the likelihood of the labels, or by writing.

Goes in: requests as text, an `Edit` or none. Comes out: answers as text. Labels are chosen at full precision: the
answer is the label c that is likeliest, argmin of nll(c, end of answer | request), summed over its tokens. Texts are
written by the quantised model, greedily, with the edit in the files the product would export.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from calibrate.batching import Sample
from calibrate.edit import Edit
from calibrate.export import export
from engine.batch import answer_many
from engine.container import Provenance
from engine.messages import ChatTurn, Sampling, VoiceUse
from engine.voice import PLAIN, Steering
from tests.bench.artefact import plain
from tests.bench.lamp_tasks import Task
from tests.bench.models import Models

# A tweet has 280 characters at most, a label a few tokens; what is longer has gone astray.
_TEXT_TOKENS, _LABEL_TOKENS = 80, 16


class Answers:
    """Answers to ``task``; ``folder`` is where the files of one edit after the other are put."""

    def __init__(self, models: Models, task: Task, folder: Path) -> None:
        self._models = models
        self._task = task
        self._folder = folder

    def sample(self, request: str, answer: str, *, ends: bool = False) -> Sample:
        """``request`` and ``answer`` as the model reads them; ``ends`` adds the token that ends an answer."""
        sample = self._models.sample(_turns(request), answer)
        end = self._models.engine.weights.end
        return Sample(sample.prompt, (*sample.answer, end)) if ends and end >= 0 else sample

    def answer(self, request: str, edit: Edit | None) -> str:
        """The one answer that is judged."""
        return self.choose(request, edit) if self._task.labels else self.written([request], edit)[0]

    def choose(self, request: str, edit: Edit | None) -> str:
        """The likeliest of the task's labels under ``edit``."""
        labels = self._task.labels
        losses = self._models.full.nlls([self.sample(request, label, ends=True) for label in labels], edit)
        return labels[int(losses.argmin())]

    def written(self, requests: Sequence[str], edit: Edit | None) -> list[str]:
        """What the quantised model writes to ``requests`` under ``edit``."""
        texts = [""] * len(requests)
        answer_many(
            self._models.engine,
            [_turns(request) for request in requests],
            Sampling(temperature=0.0, max_tokens=_LABEL_TOKENS if self._task.labels else _TEXT_TOKENS),
            0,
            lambda number, text: texts.__setitem__(number, text.strip()),
            lambda: False,
            steering=self._steering(edit),
        )
        return texts

    def _steering(self, edit: Edit | None) -> Steering:
        """``edit`` as the engine applies it, through the files a voice has."""
        if edit is None or edit.is_nothing():
            return PLAIN
        engine, now = self._models.engine, datetime.now(UTC).isoformat(timespec="seconds")
        made = Provenance("lamp", engine.name, engine.sha256, self._task.name, "", now, 0, 1.0, None, None)
        files = export(self._folder, engine.architecture, self._models.full, edit, made).by_kind
        use = VoiceUse(files.get("control_vector", ""), adapter=files.get("adapter", ""))
        return engine.voices.steering(use)


def _turns(request: str) -> tuple[ChatTurn, ...]:
    """The conversation as in use: the product's system prompt, then the request."""
    return plain().turns(request)
