"""Methods that change the prompt only.

- insight: the model describes how the person writes, and the description is put into the system prompt
  (`calibrate.insight`; the first half of CHAMELEON, arXiv 2503.01048, without the edit).
- retrieved passages: the two training passages most like the request are put into the prompt as examples, as
  retrieval-augmented personalisation does (LaMP, arXiv 2304.11406), by TF-IDF.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from calibrate.insight import personal_insight, under_insight
from calibrate.select import representative
from tests.bench.artefact import Artefact, plain
from tests.bench.lesson import Lesson


@dataclass(frozen=True)
class Insight:
    """The personal insight in the system prompt."""

    name: str = "insight"
    title: str = "insight in the prompt"

    def learn(self, lesson: Lesson) -> Artefact:
        """Have the model describe the most representative passages."""
        from calibrate.quantised import Quantised

        model = Quantised(Path(lesson.job.model_path))
        chosen = representative(lesson.train, lesson.plan.passages)
        insight = personal_insight(model, [passage.text for passage in chosen], lesson.seed)
        model.close()
        return Artefact(under_insight(plain().system, insight), notes={"insight": insight})


@dataclass(frozen=True)
class Retrieved:
    """The passages most like the request in the prompt."""

    name: str = "retrieved"
    title: str = "retrieved passages in the prompt"

    def learn(self, lesson: Lesson) -> Artefact:
        """Keep every training passage."""
        return Artefact(plain().system, tuple(passage.text for passage in lesson.train))
