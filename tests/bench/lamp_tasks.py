"""The tasks of LaMP (arXiv 2304.11406) that CHAMELEON (arXiv 2503.01048) is measured on.

Each `Task` says what a profile item holds, in which words the benchmark asks, which answers there are to choose from,
and by which metrics it is judged. The words are the benchmark's: its files hold them for the question, and a profile
item is asked about in the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from tests.bench.lamp_metrics import (
    Metric,
    accuracy,
    macro_f1,
    mean_absolute_error,
    root_mean_squared_error,
    rouge_1,
    rouge_l,
)

MOVIE_TAGS = (
    "sci-fi", "based on a book", "comedy", "action", "twist ending", "dystopia", "dark comedy", "classic",
    "psychology", "fantasy", "romance", "thought-provoking", "social commentary", "violence", "true story",
)  # fmt: skip
RATINGS = ("1", "2", "3", "4", "5")


@dataclass(frozen=True)
class Task:
    """``text_field`` of a profile item is what is asked about, ``answer_field`` what the user answered.

    ``request``: the words in front of the text. ``labels``: the answers to choose from; none where the answer is
    written, and the text itself is the user's answer. ``metrics`` by name; ``better``: where they go, up or down.
    """

    number: int
    title: str
    text_field: str
    answer_field: str
    request: str
    labels: tuple[str, ...]
    metrics: Mapping[str, Metric]
    better: Literal["↑", "↓"]

    @property
    def name(self) -> str:
        """As the files call it."""
        return f"LaMP_{self.number}"

    def query(self, text: str) -> str:
        """The request about ``text``."""
        return f"{self.request} {text}"


TASKS = {
    task.number: task
    for task in (
        Task(
            2,
            "movie tagging",
            "description",
            "tag",
            "Which tag does this movie relate to among the following tags? Just answer with the tag name without "
            f"further explanation. tags: [{', '.join(MOVIE_TAGS)}] description:",
            MOVIE_TAGS,
            {"accuracy": accuracy, "F1": partial(macro_f1, labels=MOVIE_TAGS)},
            "↑",
        ),
        Task(
            3,
            "product rating",
            "text",
            "score",
            "What is the score of the following review on a scale of 1 to 5? just answer with 1, 2, 3, 4, or 5 without "
            "further explanation. review:",
            RATINGS,
            {"MAE": mean_absolute_error, "RMSE": root_mean_squared_error},
            "↓",
        ),
        Task(
            7,
            "tweet paraphrasing",
            "text",
            "text",
            "Paraphrase the following tweet without any explanation before or after it:",
            (),
            {"ROUGE-1": rouge_1, "ROUGE-L": rouge_l},
            "↑",
        ),
    )
}
