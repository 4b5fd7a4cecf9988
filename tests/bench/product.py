"""The product's default: what a person gets who learns a voice, by the run that learns it.

Nothing is done here but to call `calibrate.pipeline.Run` and to take the files it exports.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.bench.artefact import Artefact, plain
from tests.bench.lesson import Lesson


@dataclass(frozen=True)
class Default:
    """The run as it ships."""

    name: str = "default"
    title: str = "this program"

    def learn(self, lesson: Lesson) -> Artefact:
        """Run it. Its own report of likeness is among the notes, to be held against the benchmark's."""
        from calibrate.pipeline import Run

        learned = Run(lesson.job, lambda event: None, lambda: False).learn()
        return Artefact(
            plain().system,
            control_vector=learned.files.get("control_vector", ""),
            adapter=learned.files.get("adapter", ""),
            strength=learned.strength,
            notes={
                **learned.report,
                "pairs": str(learned.pairs),
                "reported_own": str(learned.likeness.own),
                "reported_others": str(learned.likeness.others),
            },
        )
