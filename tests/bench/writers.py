"""Two invented writers for the tests: folders of texts made of words the tiny models know."""

from __future__ import annotations

import random
from pathlib import Path

from tests.tiny_models import WORDS

NAMES = ("ada", "bert")
DOCUMENTS = 8


def write_two_writers(folder: Path) -> Path:
    """A folder with eight texts of about eighty words for each of two people, who share no word."""
    for name, words in zip(NAMES, (WORDS[:27], WORDS[27:]), strict=True):
        choose = random.Random(name)
        (folder / name).mkdir(parents=True)
        for number in range(DOCUMENTS):
            sentences = [" ".join(choose.choices(words, k=10)).capitalize() + "." for _ in range(8)]
            (folder / name / f"letter {number + 1}.txt").write_text(" ".join(sentences), encoding="utf-8")
    return folder
