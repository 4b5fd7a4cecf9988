"""Learn my style, worked as a person works it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QLabel, QTreeWidgetItem
from pytestqt.qtbot import QtBot

from app.desktop.presenters.learn import Step
from app.errors import KnownError
from tests.app.desktop.whole import PAIR, Whole, add_voice

SENTENCE = "The ferry was late again, so I walked home along the harbour and thought about nothing at all. "


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    """A folder of two letters, 1,800 words in all, and a file that is no letter."""
    folder = tmp_path / "letters"
    folder.mkdir()
    for number in (1, 2):
        paragraphs = [f"Paragraph {each}. " + SENTENCE * 5 for each in range(10)]
        (folder / f"letter {number}.txt").write_text(f"Letter {number}\n\n" + "\n\n".join(paragraphs))
    return folder


@pytest.fixture
def learn(whole: Whole) -> Whole:
    """The window at the first step of learning."""
    whole.click("Learn my style")
    assert whole.learn.isVisible()
    return whole


def drop(whole: Whole, *paths: Path) -> None:
    """Drop files and folders on the page."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(50, 50), Qt.DropAction.CopyAction, data, left, none)
    QApplication.sendEvent(whole.learn, enter)
    assert enter.isAccepted()
    event = QDropEvent(QPointF(50, 50), Qt.DropAction.CopyAction, data, left, none)
    QApplication.sendEvent(whole.learn, event)


def sight(whole: Whole) -> str:
    """Every label in sight."""
    return "\n".join(each.text() for each in whole.window.findChildren(QLabel) if each.isVisible())


def folders(whole: Whole) -> list[QTreeWidgetItem]:
    """The folders in the list."""
    tree = whole.learn.choose.sources
    found = [tree.topLevelItem(index) for index in range(tree.topLevelItemCount())]
    return [top for top in found if top is not None]


def rows(whole: Whole) -> list[QTreeWidgetItem]:
    """The files in the list."""
    found = [top.child(index) for top in folders(whole) for index in range(top.childCount())]
    return [row for row in found if row is not None]


def import_letters(whole: Whole, letters: Path) -> None:
    """Drop the folder and wait until it is read."""
    drop(whole, letters)
    whole.qtbot.waitUntil(lambda: len(rows(whole)) == 2)


def to_learning(whole: Whole, letters: Path) -> None:
    """Go through the steps until the voice is being learnt."""
    import_letters(whole, letters)
    whole.click("Continue")
    whole.click("Start learning")
    whole.qtbot.waitUntil(lambda: "31 of 60" in sight(whole))


def test_a_dropped_folder_is_read_and_shown(learn: Whole, letters: Path) -> None:
    import_letters(learn, letters)
    assert [row.text(0) for row in rows(learn)] == ["letter 1.txt", "letter 2.txt"]
    assert all(row.checkState(0) == Qt.CheckState.Checked for row in rows(learn))
    assert "Enough to try" in sight(learn)
    assert learn.store.totals().sources == 2


def test_what_is_dropped_from_elsewhere_is_not_taken(learn: Whole) -> None:
    data = QMimeData()
    data.setUrls([QUrl("https://example.org/letter.txt")])
    buttons, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(50, 50), Qt.DropAction.CopyAction, data, buttons, none)
    enter.ignore()
    QApplication.sendEvent(learn.learn, enter)
    assert not enter.isAccepted()


def test_files_are_chosen_in_a_dialog_that_does_not_block(learn: Whole, letters: Path, qtbot: QtBot) -> None:
    learn.click("Choose files…")
    (dialog,) = learn.learn.findChildren(QFileDialog)
    dialog.filesSelected.emit([str(letters / "letter 1.txt")])
    dialog.close()
    qtbot.waitUntil(lambda: [row.text(0) for row in rows(learn)] == ["letter 1.txt"])


def test_what_was_left_out_is_named_with_the_reason(learn: Whole, letters: Path, qtbot: QtBot) -> None:
    broken = letters / "broken.docx"
    broken.write_bytes(b"\x00\x01\x02 not a document")
    drop(learn, letters)
    # What was left out is told as it is met, what was found once all is read.
    qtbot.waitUntil(lambda: "1 file left out" in sight(learn) and len(rows(learn)) == 2)
    assert "broken.docx" in sight(learn)


def test_too_little_text_cannot_go_on_and_says_what_is_missing(
    learn: Whole, tmp_path: Path, qtbot: QtBot
) -> None:
    note = tmp_path / "note.txt"
    note.write_text(SENTENCE * 6)
    drop(learn, note)
    qtbot.waitUntil(lambda: len(rows(learn)) == 1)
    assert "more words needed" in sight(learn)
    assert not learn.learn.choose.next.isEnabled()


def test_only_ticked_writing_is_learnt_from(learn: Whole, letters: Path, qtbot: QtBot) -> None:
    import_letters(learn, letters)
    rows(learn)[0].setCheckState(0, Qt.CheckState.Unchecked)
    learn.click("Continue")
    learn.click("Start learning")
    qtbot.waitUntil(lambda: bool(learn.learning.asked))
    kept = next(source for source in learn.store.sources() if Path(source.path).name == "letter 2.txt")
    assert learn.learning.asked[0][2] == {kept.id}


def test_a_whole_folder_can_be_unticked(learn: Whole, letters: Path) -> None:
    import_letters(learn, letters)
    (folder,) = folders(learn)
    folder.setCheckState(0, Qt.CheckState.Unchecked)
    assert all(row.checkState(0) == Qt.CheckState.Unchecked for row in rows(learn))
    assert not learn.learn.choose.next.isEnabled()
    folder.setCheckState(0, Qt.CheckState.Checked)
    assert learn.learn.choose.next.isEnabled()


def test_name_and_budget_are_passed_along(learn: Whole, letters: Path, qtbot: QtBot) -> None:
    import_letters(learn, letters)
    learn.click("Continue")
    page = learn.learn.voice
    page.name.setText("  Letters ")
    QTest.mouseClick(page.offers["fast"].choice, Qt.MouseButton.LeftButton)
    learn.click("Start learning")
    qtbot.waitUntil(lambda: bool(learn.learning.asked))
    name, settings, _ = learn.learning.asked[0]
    assert (name, settings.budget) == ("Letters", "fast")


def test_a_name_no_voice_can_have_is_refused_in_words(learn: Whole, letters: Path) -> None:
    import_letters(learn, letters)
    learn.click("Continue")
    learn.learn.voice.name.setText("none")
    learn.click("Start learning")
    assert "cannot be called" in sight(learn)
    assert learn.learning.asked == []


def test_learning_again_under_a_known_name_is_announced(learn: Whole, letters: Path, qtbot: QtBot) -> None:
    add_voice(learn.store, learn.places, "My voice")
    import_letters(learn, letters)
    learn.click("Continue")
    qtbot.waitUntil(lambda: "will be learnt again" in sight(learn))


def test_progress_a_pair_and_the_insight_are_shown(learn: Whole, letters: Path, qtbot: QtBot) -> None:
    to_learning(learn, letters)
    assert "about 4 min left" in sight(learn)
    qtbot.waitUntil(lambda: PAIR.own in sight(learn) and PAIR.plain in sight(learn))
    assert "Writes in haste." in sight(learn)
    assert "2,460 words" in sight(learn)
    assert learn.window.topbar.learn.text() == "Learning… 37%"


def test_one_can_write_while_it_learns_and_come_back(learn: Whole, letters: Path, qtbot: QtBot) -> None:
    to_learning(learn, letters)
    learn.click("Back to writing")
    learn.ask("Write", "Dear friend.")
    learn.click("Learning… 37%")
    assert learn.desktop.learn.step == Step.LEARNING
    assert "31 of 60" in sight(learn)


def test_the_result_is_explained_and_the_voice_selected(learn: Whole, letters: Path, qtbot: QtBot) -> None:
    learn.learning.learnt = lambda voice: add_voice(learn.store, learn.places, voice)
    to_learning(learn, letters)
    learn.learning.go_on.set()
    qtbot.waitUntil(lambda: "“My voice” is ready" in sight(learn))
    assert "41 % closer to you" in sight(learn)
    assert "2,140 words" in sight(learn)
    assert "The voice will be rough." in sight(learn)
    assert "Your text +41 per cent" in learn.learn.result.bars.accessibleName()
    learn.click("Write in this voice")
    assert learn.chat.isVisible()
    qtbot.waitUntil(lambda: "My voice, 41 % closer" in learn.window.topbar.voice.accessibleName())
    learn.ask("Write", "At once!")
    assert learn.engine.asked[-1].voice is not None


def test_cancelling_says_that_nothing_is_lost(learn: Whole, letters: Path, qtbot: QtBot) -> None:
    to_learning(learn, letters)
    learn.click("Cancel learning")
    qtbot.waitUntil(lambda: "Learning was stopped" in sight(learn))
    assert learn.desktop.learn.step == Step.VOICE
    assert learn.window.topbar.learn.text() == "Learn my style"


def test_a_failure_says_what_to_do_and_can_be_tried_again(learn: Whole, letters: Path, qtbot: QtBot) -> None:
    learn.learning.fails = KnownError("Learning a voice needs packages. Add them with:\n  pip install x")
    to_learning(learn, letters)
    learn.learning.go_on.set()
    qtbot.waitUntil(lambda: "pip install x" in sight(learn))
    learn.learning.fails = None
    learn.learning.learnt = lambda voice: add_voice(learn.store, learn.places, voice)
    learn.click("Try again", learn.learn)
    qtbot.waitUntil(lambda: "is ready" in sight(learn))


def test_a_bug_is_logged_and_told_without_its_traceback(learn: Whole, letters: Path, qtbot: QtBot) -> None:
    learn.learning.fails = ZeroDivisionError("secret detail")
    to_learning(learn, letters)
    learn.learning.go_on.set()
    qtbot.waitUntil(lambda: "Something went wrong" in sight(learn))
    assert "secret detail" not in sight(learn)
    assert "secret detail" in (learn.places.logs / "idiolect.log").read_text()


def test_closing_the_window_stops_learning(learn: Whole, letters: Path, qtbot: QtBot) -> None:
    to_learning(learn, letters)
    learn.end()
    assert learn.learning.stopped.is_set()
