"""What goes into the history and what comes out of it: frozen dataclasses. Dates are ISO 8601 text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class NewDocument:
    """One text as a reader found it.

    ``text``: paragraphs apart by an empty line. ``written_at``: a date or date and time in ISO form, None
    where the file does not say. ``register``: what it is – letter, mail, note or essay.
    """

    title: str
    written_at: str | None
    register: str
    text: str


@dataclass(frozen=True)
class Source:
    """One imported file and what can be learnt from it.

    ``documents`` counts all of them; ``passages`` and ``words`` count each passage once, however often it
    occurs in the file.
    """

    id: int
    path: str
    kind: str
    sha256: str
    imported_at: str
    documents: int
    passages: int
    words: int


@dataclass(frozen=True)
class Passage:
    """70–200 words of the person's own prose: the unit of learning."""

    id: int
    text: str
    words: int


@dataclass(frozen=True)
class TrainingDocument:
    """A document with its passages in order."""

    id: int
    source_id: int
    title: str
    written_at: str | None
    passages: tuple[Passage, ...]


@dataclass(frozen=True)
class Totals:
    """How much the history holds. A passage that occurs in several places counts once."""

    sources: int
    documents: int
    passages: int
    words: int


@dataclass(frozen=True)
class Pair:
    """One request answered in the person's way (``own``) and in the model's (``plain``).

    ``source``: history or insight. ``key`` identifies the work done: a later pair with the same key takes
    the place of an earlier one.
    """

    key: str
    source: str
    passage_id: int
    kind: str
    query: str
    own: str
    plain: str


@dataclass(frozen=True)
class Likeness:
    """Change of nats per token on text never learnt from: the person's ``own`` (with its 95 % interval) and
    ``others``'; negative is closer."""

    own: float
    own_low: float
    own_high: float
    others: float
    words_heldout: int
    passages_heldout: int


@dataclass(frozen=True)
class Voice:
    """One learned style, as its last successful run left it.

    ``files``: paths by kind, relative to the folder of the voices. ``pairs``: how many were made on its
    model. ``out_of_date``: a source it was learnt from has been changed or removed since.
    """

    id: int
    name: str
    model_id: str
    created_at: str
    learnt_at: str | None
    files: Mapping[str, str]
    strength: float
    likeness: Likeness | None
    pairs: int
    insight: str
    out_of_date: bool


@dataclass(frozen=True)
class Conversation:
    """``title`` is "" until the first message gives one."""

    id: int
    title: str
    created_at: str
    updated_at: str


@dataclass(frozen=True)
class Message:
    """One node of a conversation's tree.

    ``role``: user or assistant. ``voice``: the name of the voice that steered it. ``stopped_because``: "" while
    an answer is being written, then end, length, stopped, failed or interrupted; a person's message has end.
    ``sampling``: how its tokens were drawn, as JSON; with the seed it gives the same text again. ``strength``: the one
    it ended with.
    """

    id: int
    conversation_id: int
    parent_id: int | None
    role: str
    text: str
    model: str
    voice: str | None
    strength: float
    seed: int | None
    prompt_tokens: int
    tokens: int
    tokens_per_second: float
    stopped_because: str
    created_at: str
    sampling: str = ""
