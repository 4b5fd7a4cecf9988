"""LaMP's files: who the users are, what they answered before, what they are asked, what they really answered.

Goes in: a folder, searched with all its folders for ``*_questions.json`` with its ``*_outputs.json`` beside it. Comes
out: `User`s. As the benchmark has it, every question brings its user's whole profile; nothing says that two questions
are of one user.

    questions   [{"id": …, "input": request, "profile": [{"id": …, fields of the task}, …]}, …]
    outputs     {"task": "LaMP_2", "golds": [{"id": …, "output": answer}, …]}

The files of the test split come without outputs; results are reported on ``dev``, which is taken where several fit.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import KnownError
from tests.bench.lamp_tasks import Task

QUESTIONS, OUTPUTS = "_questions.json", "_outputs.json"
# Characters that are read of an item's text and of a request; few reviews are longer. It bounds time and memory.
_ITEM_LENGTH, _REQUEST_LENGTH = 1200, 3000
_WHAT_TO_DO = "Compare the file with the LaMP download, and get it again."


@dataclass(frozen=True)
class Item:
    """Something the user did before: ``text`` is what they answered about, ``answer`` what they answered."""

    text: str
    answer: str


@dataclass(frozen=True)
class User:
    """One question with the profile of who is asked; ``gold`` is what they really answered."""

    id: str
    request: str
    gold: str
    profile: tuple[Item, ...]

    @property
    def habit(self) -> str:
        """What they answered most often before; "" where nothing is known of them."""
        counts = Counter(item.answer for item in self.profile)
        return counts.most_common(1)[0][0] if counts else ""


def read_users(folder: Path, task: Task, limit: int | None = None) -> list[User]:
    """The users of ``task`` in ``folder``, in the order of the file; the first ``limit`` of them.

    Raises KnownError naming the file, and the question in it, that is missing or not of LaMP's form.
    """
    questions, outputs = _files(folder, task)
    golds = _golds(outputs, task)
    users = [_user(questions, place, entry, golds, task) for place, entry in _questions(questions, limit)]
    if not users:
        raise KnownError(f"{questions} holds no question. {_WHAT_TO_DO}")
    return users


def _files(folder: Path, task: Task) -> tuple[Path, Path]:
    """The questions and the outputs of ``task`` in ``folder``."""
    if not folder.is_dir():
        raise KnownError(f"There is no folder {folder}. Give the one the LaMP files are in.")
    found = [
        (path, partner)
        for path in sorted(folder.rglob(f"*{QUESTIONS}"))
        if (partner := path.with_name(path.name.removesuffix(QUESTIONS) + OUTPUTS)).is_file()
        and _is_of(task, partner)
    ]
    preferred = [each for each in found if each[0].name.removesuffix(QUESTIONS).endswith("dev")] or found
    if not preferred:
        raise KnownError(
            f"In {folder} there is no file ending in {QUESTIONS} with its {OUTPUTS} of {task.name} beside it. "
            "Download the dev split of the task from lamp-benchmark.github.io, and give its folder."
        )
    if len(preferred) > 1:
        names = ", ".join(str(path.relative_to(folder)) for path, _ in preferred)
        raise KnownError(
            f"{folder} holds several sets of {task.name}: {names}. Give the folder of one of them."
        )
    return preferred[0]


def _is_of(task: Task, outputs: Path) -> bool:
    """Whether the file says that it is of ``task``; some copies add a letter or a word to the name."""
    name = _object(_parsed(outputs), outputs, "the file").get("task")
    if not isinstance(name, str):
        raise KnownError(f"{outputs} does not say which task it is of: 'task' is missing. {_WHAT_TO_DO}")
    number = re.match(r"LaMP[_-](\d+)", name)
    return number is not None and int(number[1]) == task.number


def _golds(path: Path, task: Task) -> dict[str, str]:
    """The real answers by the id of the question."""
    entries = _object(_parsed(path), path, "the file").get("golds")
    if not isinstance(entries, list):
        raise KnownError(f"{path}: 'golds' is missing or no list. {_WHAT_TO_DO}")
    golds = {}
    for place, each in enumerate(entries, start=1):
        where = f"entry {place} of golds"
        entry = _object(each, path, where)
        gold = _field(entry, "output", path, where)
        if task.labels and gold not in task.labels:
            raise KnownError(
                f"{path}: the output {gold!r} in {where} is no answer of {task.name}. {_WHAT_TO_DO}"
            )
        golds[_field(entry, "id", path, where)] = gold
    return golds


def _questions(path: Path, limit: int | None) -> Iterator[tuple[int, Any]]:
    entries = _parsed(path)
    if not isinstance(entries, list):
        raise KnownError(f"{path} holds no list of questions. {_WHAT_TO_DO}")
    return enumerate(entries[:limit], start=1)


def _user(path: Path, place: int, question: Any, golds: dict[str, str], task: Task) -> User:
    where = f"question {place}"
    entry = _object(question, path, where)
    name = _field(entry, "id", path, where)
    where = f"question {place} (id {name})"
    if name not in golds:
        raise KnownError(f"{path}: {where} has no output in the file beside it. {_WHAT_TO_DO}")
    profile = entry.get("profile")
    if not isinstance(profile, list):
        raise KnownError(f"{path}: 'profile' of {where} is missing or no list. {_WHAT_TO_DO}")
    items = [
        _item(_object(each, path, f"profile item {number} of {where}"), path, number, where, task)
        for number, each in enumerate(profile, start=1)
    ]
    request = _field(entry, "input", path, where)[:_REQUEST_LENGTH]
    return User(name, request, golds[name], tuple(item for item in items if item.text and item.answer))


def _item(entry: dict[str, Any], path: Path, number: int, where: str, task: Task) -> Item:
    if task.number == 2 and "category" in entry and task.answer_field not in entry:
        raise KnownError(
            f"{path} is the older LaMP-2, which is about news. Get the one about movies, in the folder LaMP_2/new."
        )
    text, answer = (
        _field(entry, field, path, f"profile item {number} of {where}")[:_ITEM_LENGTH]
        for field in (task.text_field, task.answer_field)
    )
    return Item(text, answer)


def _parsed(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KnownError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise KnownError(
            f"{path} is not JSON: {error}. A failed download may have left a web page."
        ) from error


def _object(value: Any, path: Path, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise KnownError(f"{path}: {where} is no object. {_WHAT_TO_DO}")
    return value


def _field(entry: dict[str, Any], field: str, path: Path, where: str) -> str:
    """A field as text; some copies have numbers for ids and ratings."""
    value = entry.get(field)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise KnownError(f"{path}: {field!r} of {where} is missing or no text. {_WHAT_TO_DO}")
    return str(value).strip()
