"""Writing in the window: asked, answered, stopped, failed, tried again."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from app.desktop.presenters.chat import NOT_ANSWERED
from app.desktop.views.message import Answer
from app.desktop.views.welcome import EXAMPLES
from app.errors import KnownError
from app.workers.engine_client import Died
from engine.messages import Token
from tests.app.desktop.whole import Whole
from tests.fakes import finished

PART = [Token(0, "Dear "), Token(0, "friend")]


def shown_texts(whole: Whole) -> str:
    """Every label in sight."""
    return "\n".join(each.text() for each in whole.window.findChildren(QLabel) if each.isVisible())


def test_a_newcomer_gets_an_answer_with_one_click(whole: Whole, qtbot: QtBot) -> None:
    whole.engine.enqueue("I am ill.")
    whole.click(EXAMPLES[0])
    qtbot.waitUntil(lambda: whole.texts == [EXAMPLES[0], "I am ill."])
    assert whole.engine.asked[0].turns[-1].content == EXAMPLES[0]


def test_enter_sends_and_shift_enter_starts_a_line(whole: Whole, qtbot: QtBot) -> None:
    whole.engine.enqueue("Yes.")
    draft = whole.composer.draft
    QTest.keyClicks(draft, "one")
    QTest.keyClick(draft, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    QTest.keyClicks(draft, "two")
    assert draft.toPlainText() == "one\ntwo"
    QTest.keyClick(draft, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: whole.texts == ["one\ntwo", "Yes."])
    assert draft.toPlainText() == ""


def test_an_empty_message_is_not_sent(whole: Whole, qtbot: QtBot) -> None:
    whole.write("   ")
    qtbot.wait(30)
    assert whole.texts == []
    assert not whole.composer.button.isEnabled()


def test_the_answer_grows_and_can_be_stopped(whole: Whole, qtbot: QtBot) -> None:
    whole.engine.enqueue(PART)
    whole.write("Write")
    qtbot.waitUntil(lambda: whole.texts == ["Write", "Dear friend"])
    assert whole.writing
    QTest.mouseClick(whole.composer.button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not whole.writing)
    assert whole.texts == ["Write", "Dear friend"]
    assert "stopped" in shown_texts(whole)


def test_escape_stops(whole: Whole, qtbot: QtBot) -> None:
    whole.engine.enqueue(PART)
    whole.write("Write")
    qtbot.waitUntil(lambda: whole.texts == ["Write", "Dear friend"])
    QTest.keyClick(whole.composer.draft, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not whole.writing)
    assert whole.engine.cancelled == [1]


def test_what_is_typed_while_an_answer_is_written_stays(whole: Whole, qtbot: QtBot) -> None:
    whole.engine.enqueue(PART)
    whole.write("Write")
    qtbot.waitUntil(lambda: whole.writing and len(whole.texts) == 2)
    whole.write("And then")
    assert whole.composer.draft.toPlainText() == "And then"
    whole.engine.finish(1, finished())
    qtbot.waitUntil(lambda: not whole.writing)
    assert len(whole.engine.asked) == 1


def test_a_dead_engine_is_told_and_trying_again_works(whole: Whole, qtbot: QtBot) -> None:
    whole.engine.enqueue([*PART, Died("was killed (signal 9)")])
    whole.write("Write")
    qtbot.waitUntil(lambda: "was killed (signal 9)" in shown_texts(whole))
    assert whole.texts == ["Write", "Dear friend"]
    assert not whole.writing
    whole.engine.enqueue("Dear friend, I am ill.")
    whole.click("Try again", whole.chat.conversation)
    qtbot.waitUntil(lambda: whole.texts == ["Write", "Dear friend, I am ill."])
    assert "signal 9" not in shown_texts(whole)


def test_the_next_message_works_after_the_engine_died(whole: Whole, qtbot: QtBot) -> None:
    whole.engine.enqueue([*PART, Died("crashed")])
    whole.write("Write")
    qtbot.waitUntil(lambda: "crashed" in shown_texts(whole))
    whole.ask("Again", "Better.")
    assert whole.texts == ["Write", "Dear friend", "Again", "Better."]


def test_what_could_not_be_sent_comes_back_with_the_reason(whole: Whole, qtbot: QtBot) -> None:
    whole.missing_model = KnownError("The model is not installed.")
    whole.write("My long message")
    qtbot.waitUntil(lambda: whole.composer.draft.toPlainText() == "My long message")
    assert "The model is not installed." in shown_texts(whole)
    assert whole.texts == []
    assert whole.store.conversations() == []
    whole.missing_model = None
    whole.engine.enqueue("Here.")
    QTest.keyClick(whole.composer.draft, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: whole.texts == ["My long message", "Here."])
    assert "not installed" not in shown_texts(whole)


def test_voice_and_strength_are_passed_along(whole: Whole, qtbot: QtBot) -> None:
    whole.add_voice("Letters", recommended=0.8)
    whole.window.topbar.voice_picked.emit("Letters")
    assert whole.window.topbar.strength.slider.value() == 16
    whole.ask("Write", "As you wish.")
    assert whole.engine.asked[-1].voice is not None
    assert whole.engine.asked[-1].voice.strength == 0.8
    whole.window.topbar.strength.slider.setFocus()
    for _ in range(3):
        QTest.keyClick(whole.window.topbar.strength.slider, Qt.Key.Key_Right)
    whole.ask("More", "Indeed.")
    assert whole.engine.asked[-1].voice is not None
    assert round(whole.engine.asked[-1].voice.strength, 2) == 1.1
    qtbot.waitUntil(lambda: "Letters · strength 1.1" in shown_texts(whole))
    QTest.keyClick(whole.window.topbar.strength.slider, Qt.Key.Key_Home)
    whole.ask("Plainly", "Yes.")
    assert whole.engine.asked[-1].voice is None


def test_the_slider_acts_on_the_answer_under_way(whole: Whole, qtbot: QtBot) -> None:
    whole.add_voice("Letters", recommended=0.8)
    whole.window.topbar.voice_picked.emit("Letters")
    whole.engine.enqueue([Token(0, "Dear")])
    whole.write("Write")
    qtbot.waitUntil(lambda: whole.texts == ["Write", "Dear"])
    slider = whole.window.topbar.strength.slider
    slider.setFocus()
    QTest.keyClick(slider, Qt.Key.Key_Right)
    qtbot.waitUntil(lambda: [round(to, 2) for _, to in whole.engine.adjusted] == [0.9])
    whole.engine.finish(1, finished("end"))
    qtbot.waitUntil(lambda: "Letters · strength 0.9" in shown_texts(whole))
    QTest.keyClick(slider, Qt.Key.Key_Right)
    whole.ask("More", "Indeed.")
    assert len(whole.engine.adjusted) == 1


def test_the_plain_model_has_no_strength_to_set(whole: Whole) -> None:
    assert not whole.window.topbar.strength.slider.isEnabled()
    whole.add_voice("Letters")
    whole.window.topbar.voice_picked.emit("Letters")
    assert whole.window.topbar.strength.slider.isEnabled()
    assert "41 % closer to you" in whole.window.topbar.voice.accessibleName()


def test_conversations_are_listed_and_opened(whole: Whole, qtbot: QtBot) -> None:
    whole.ask("First question", "First answer.")
    QTest.keyClick(whole.window, Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    assert whole.texts == []
    whole.ask("Second question", "Second answer.")
    qtbot.waitUntil(lambda: whole.conversation_titles == ["Second question", "First question"])
    whole.open_conversation("First question")
    qtbot.waitUntil(lambda: whole.texts == ["First question", "First answer."])
    whole.ask("And then?", "That was all.")
    assert len(whole.store.conversations()) == 2


def test_an_answer_goes_on_while_another_conversation_is_read(whole: Whole, qtbot: QtBot) -> None:
    whole.ask("First question", "First answer.")
    whole.click("New conversation")
    whole.engine.enqueue(PART)
    whole.write("Second question")
    qtbot.waitUntil(lambda: whole.texts == ["Second question", "Dear friend"])
    whole.open_conversation("First question")
    qtbot.waitUntil(lambda: whole.texts == ["First question", "First answer."])
    assert not whole.writing
    whole.engine.finish(2, finished())
    whole.open_conversation("Second question")
    qtbot.waitUntil(lambda: whole.texts == ["Second question", "Dear friend"])
    assert not whole.writing


def test_a_message_elsewhere_stops_the_answer_being_written(whole: Whole, qtbot: QtBot) -> None:
    whole.engine.enqueue(PART, "Second answer.")
    whole.write("First question")
    qtbot.waitUntil(lambda: whole.texts == ["First question", "Dear friend"])
    whole.click("New conversation")
    whole.write("Second question")
    qtbot.waitUntil(lambda: whole.texts == ["Second question", "Second answer."])
    stopped = whole.store.messages(whole.store.conversations()[-1].id)[-1]
    assert (stopped.text, stopped.stopped_because) == ("Dear friend", "stopped")


def test_the_last_answer_can_be_written_again(whole: Whole, qtbot: QtBot) -> None:
    whole.ask("Write", "One.")
    whole.engine.enqueue("Two.")
    whole.click("Answer again")
    qtbot.waitUntil(lambda: whole.texts == ["Write", "Two."])


def test_an_answer_can_be_copied(whole: Whole) -> None:
    whole.ask("Write", "**Dear** friend")
    whole.click("Copy this answer")
    assert QGuiApplication.clipboard().text() == "**Dear** friend"


def test_a_message_without_an_answer_can_be_tried_again(whole: Whole, qtbot: QtBot) -> None:
    conversation = whole.store.new_conversation()
    whole.store.add_message(conversation.id, "user", "Are you there?")
    whole.desktop.chat.open(conversation.id)
    qtbot.waitUntil(lambda: NOT_ANSWERED in shown_texts(whole))
    whole.engine.enqueue("Here I am.")
    whole.click("Try again", whole.chat.conversation)
    qtbot.waitUntil(lambda: whole.texts == ["Are you there?", "Here I am."])


def test_dots_stand_for_an_answer_that_has_not_begun(whole: Whole, qtbot: QtBot) -> None:
    whole.engine.enqueue([])
    whole.write("Write")
    qtbot.waitUntil(lambda: len(whole.chat.conversation.views) == 2)
    answer = whole.chat.conversation.views[1]
    assert isinstance(answer, Answer)
    assert "•" in shown_texts(whole)
    whole.engine.finish(1, finished())
    qtbot.waitUntil(lambda: "•" not in shown_texts(whole))


def long_conversation(whole: Whole, messages: int) -> int:
    """A stored conversation of ``messages`` messages; its id."""
    conversation = whole.store.new_conversation()
    parent = None
    for number in range(messages // 2):
        asked = whole.store.add_message(conversation.id, "user", f"Question {number}", parent_id=parent)
        answer = whole.store.add_message(conversation.id, "assistant", "", parent_id=asked.id)
        whole.store.finish_answer(
            answer.id,
            f"Answer {number}\n\nIn two paragraphs.",
            stopped_because="end",
            seed=1,
            prompt_tokens=1,
            tokens=1,
            tokens_per_second=1.0,
        )
        parent = answer.id
    return conversation.id


def test_of_a_long_conversation_the_end_is_built_and_the_rest_on_request(whole: Whole, qtbot: QtBot) -> None:
    whole.desktop.chat.open(long_conversation(whole, 150))
    qtbot.waitUntil(lambda: len(whole.texts) == 60)
    assert whole.texts[-1].startswith("Answer 74")
    bar = whole.chat.conversation.verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 0 and bar.value() == bar.maximum())
    whole.chat.conversation.verticalScrollBar().setValue(0)
    whole.click("Show earlier messages")
    assert len(whole.texts) == 120
    whole.click("Show earlier messages")
    assert len(whole.texts) == 150
    assert whole.texts[0] == "Question 0"


def test_the_newest_text_stays_in_sight_unless_the_person_scrolled_up(whole: Whole, qtbot: QtBot) -> None:
    whole.desktop.chat.open(long_conversation(whole, 40))
    bar = whole.chat.conversation.verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 0 and bar.value() == bar.maximum())
    whole.ask("Write", "A line.\n\n" * 30 + "The end.")
    qtbot.waitUntil(lambda: bar.value() == bar.maximum())
    whole.engine.enqueue([Token(0, "Begun.")])
    whole.write("More")
    qtbot.waitUntil(lambda: whole.texts[-1] == "Begun.")
    bar.setValue(bar.maximum() // 2)
    read_at = bar.value()
    assert whole.button("Jump to the newest text").isVisible()
    whole.engine.tell(2, Token(0, "\n\nA line." * 30))
    qtbot.waitUntil(lambda: whole.texts[-1].count("A line.") == 30)
    qtbot.wait(30)
    assert bar.value() == read_at
    whole.click("Jump to the newest text")
    assert bar.value() == bar.maximum()
