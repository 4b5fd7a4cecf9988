"""Which presenter feeds which view, and what each view asks of whom."""

from __future__ import annotations

from app.desktop.presenters.chat import ChatPresenter, Opened
from app.desktop.presenters.learn import LearnPresenter, LearnProgress, Step
from app.desktop.presenters.learn_budget import budget_lines
from app.desktop.presenters.sources import SourcesShown
from app.desktop.presenters.voices import VoiceChoice, VoicesPresenter
from app.desktop.presenters.wording import count
from app.desktop.views.window import MainWindow


def wire(window: MainWindow, chat: ChatPresenter, voices: VoicesPresenter, learn: LearnPresenter) -> None:
    """Connect everything; once per window."""
    _wire_chat(window, chat, voices)
    _wire_learn(window, learn, voices)


def _wire_chat(window: MainWindow, chat: ChatPresenter, voices: VoicesPresenter) -> None:
    page, sidebar, topbar = window.chat, window.sidebar, window.topbar

    def show_opened(opened: Opened) -> None:
        page.show_opened(opened)
        sidebar.select(opened.id)
        window.show_chat()

    def show_choice(choice: VoiceChoice) -> None:
        topbar.show_choice(choice)
        page.welcome.show_has_voice(bool(choice.lines))
        chat.write_with(choice.selected, choice.strength)

    chat.conversations_changed.connect(sidebar.show_conversations)
    chat.opened.connect(show_opened)
    chat.lines_changed.connect(page.show_lines)
    chat.lines_changed.connect(lambda _lines: sidebar.select(chat.conversation_id))
    chat.line_grew.connect(page.conversation.grow)
    chat.answering_changed.connect(page.composer.set_answering)
    chat.problem_changed.connect(page.show_problem)
    chat.draft_returned.connect(page.composer.give_back)
    page.sent.connect(chat.send)
    page.stopped.connect(chat.stop)
    page.try_again.connect(chat.try_again)
    page.problem_dismissed.connect(chat.dismiss_problem)
    sidebar.new_wanted.connect(chat.new)
    sidebar.opened.connect(chat.open)
    voices.changed.connect(show_choice)
    topbar.voice_picked.connect(voices.select)
    topbar.strength_set.connect(voices.set_strength)
    show_choice(voices.choice)


def _wire_learn(window: MainWindow, learn: LearnPresenter, voices: VoicesPresenter) -> None:
    page, topbar = window.learn, window.topbar

    def show_learn() -> None:
        learn.begin()
        window.show_learn()

    def show_sources(shown: SourcesShown) -> None:
        page.choose.show_sources(shown)
        basis = f"It will learn from {count(shown.words, 'word')} in {count(shown.documents, 'document')}. "
        page.voice.show_budgets(budget_lines(shown.passages), basis + shown.sufficiency.sentence)

    def show_running(running: bool) -> None:
        topbar.show_learning(running)
        if running:
            page.progress.begin()

    def show_progress(progress: LearnProgress) -> None:
        page.progress.show_progress(progress)
        topbar.show_learning(learn.running, f"Learning… {progress.fraction:.0%}")

    def write_in(voice: str) -> None:
        voices.refresh(select=voice)
        learn.go_to(Step.CHOOSE)
        window.show_chat()

    topbar.learn_wanted.connect(show_learn)
    window.chat.learn_wanted.connect(show_learn)
    page.closed.connect(window.show_chat)
    page.dropped.connect(learn.add)
    page.problem_acted.connect(lambda: page.voice.start.click())
    page.choose.chosen.connect(learn.add)
    page.choose.ticked.connect(learn.tick)
    page.choose.import_stopped.connect(learn.stop_import)
    page.choose.next_wanted.connect(lambda: learn.go_to(Step.VOICE))
    page.voice.back_wanted.connect(lambda: learn.go_to(Step.CHOOSE))
    page.voice.started.connect(learn.start)
    page.progress.cancelled.connect(learn.cancel)
    page.progress.cancelled.connect(page.progress.show_stopping)
    page.progress.chat_wanted.connect(window.show_chat)
    page.result.write_wanted.connect(write_in)
    page.result.more_wanted.connect(learn.begin)
    learn.step_changed.connect(page.show_step)
    learn.sources_changed.connect(show_sources)
    learn.importing_changed.connect(page.choose.show_importing)
    learn.imported.connect(page.choose.show_outcome)
    learn.suffixes_known.connect(page.choose.zone.show_suffixes)
    learn.voice_names_changed.connect(page.voice.show_names)
    learn.progress_changed.connect(show_progress)
    learn.pair_made.connect(page.progress.show_pair)
    learn.insight_written.connect(page.progress.show_insight)
    learn.noticed.connect(page.progress.show_notice)
    learn.running_changed.connect(show_running)
    learn.problem_changed.connect(page.show_problem)
    learn.learnt.connect(page.result.show_result)
    learn.learnt.connect(lambda result: voices.refresh(select=result.voice))
    show_sources(learn.shown)
