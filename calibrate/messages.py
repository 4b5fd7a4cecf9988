"""What the calibrate process is asked and what it answers: frozen dataclasses, JSON lines on the pipe.

One process per run: a `Job` goes in on stdin, events come out on stdout until `Learned` or `Failed`; the
process ends when stdin closes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.wire import Vocabulary, WireError

__all__ = [
    "BUDGETS", "EVENTS", "REQUESTS", "STAGES", "Failed", "InsightWritten", "Job", "JobDocument", "JobPassage",
    "Learned", "Likeness", "Notice", "PairMade", "Progress", "Settings", "Stop", "WireError",
]  # fmt: skip

BUDGETS = ("fast", "normal", "thorough")
STAGES = ("select", "insight", "fabricate", "read", "align", "refine", "measure", "export")


@dataclass(frozen=True)
class JobPassage:
    """70–200 words of the person's own prose; ``id`` is whatever the caller knows it by."""

    id: int
    text: str


@dataclass(frozen=True)
class JobDocument:
    """One document with its passages in order. ``written_at``: ISO date, or None where unknown."""

    id: int
    title: str
    written_at: str | None
    passages: tuple[JobPassage, ...]


@dataclass(frozen=True)
class PairMade:
    """One fabricated preference pair: the same query answered in the person's way and in the model's way.

    ``source`` is ``history`` (own = the real passage) or ``insight`` (own = the model under the personal
    insight). ``passage_id`` is the passage it was made from; ``key`` identifies the work done (passage text,
    model, prompts, seed), so that a later run can tell whether the pair still serves.
    """

    key: str
    source: str
    passage_id: int
    kind: str
    query: str
    own: str
    plain: str


@dataclass(frozen=True)
class Settings:
    """How to learn. ``budget``: one of `BUDGETS`; ``seed`` makes a run repeatable."""

    budget: str = "normal"
    seed: int = 0


@dataclass(frozen=True)
class Job:
    """Everything one run needs.

    ``model_path``: the GGUF the engine runs. ``weights_path``: what the full-precision model is read from –
    the same GGUF, or a folder of safetensors. ``made``: pairs of earlier runs, reused where their key fits.
    ``output_dir``: an existing folder the voice files are written into.
    """

    voice: str
    model_path: str
    weights_path: str
    documents: tuple[JobDocument, ...]
    output_dir: str
    settings: Settings = field(default_factory=Settings)
    made: tuple[PairMade, ...] = ()


@dataclass(frozen=True)
class Stop:
    """Stop at the next safe point; the run ends with `Failed(known=True)` and every pair made is kept."""


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` steps of ``stage``; ``fraction`` (0–1) and ``seconds_left`` are of the whole run."""

    stage: str
    done: int
    total: int
    fraction: float
    seconds_left: float | None


@dataclass(frozen=True)
class Notice:
    """A sentence the person should read (how sure the result is, what was left out)."""

    text: str


@dataclass(frozen=True)
class InsightWritten:
    """The personal insight: a few sentences saying how this person writes."""

    text: str


@dataclass(frozen=True)
class Likeness:
    """Change of negative log-likelihood per token (nats; negative = closer) from plain to steered model.

    ``own``: on the person's held-out text; ``others``: on bundled reference texts of other people.
    ``own_low`` and ``own_high`` bound ``own`` with 95 % confidence (bootstrap over passages).
    """

    own: float
    own_low: float
    own_high: float
    others: float
    words_heldout: int
    passages_heldout: int


@dataclass(frozen=True)
class Learned:
    """The run succeeded. ``files`` maps a kind (``control_vector``) to the path written in output_dir.

    ``strength`` is the recommended strength; ``report`` holds further numbers of the run (settings,
    seconds by stage, passes, validation curve) by name, all JSON scalars as strings of JSON.
    """

    pairs: int
    seconds: float
    strength: float
    likeness: Likeness
    files: dict[str, str]
    report: dict[str, str]


@dataclass(frozen=True)
class Failed:
    """The run ended without a voice. ``known``: the person can act on it; else a bug with its traceback."""

    known: bool
    stopped: bool
    message: str


REQUESTS = Vocabulary([Job, Stop])
EVENTS = Vocabulary([Progress, Notice, InsightWritten, PairMade, Learned, Failed])
