"""What a model wrote is shown, and reaches for nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices, QImage, QTextDocument
from pytestqt.qtbot import QtBot

from app.desktop.theme import Theme
from app.desktop.views.rich_text import RichText, open_link


@pytest.fixture
def text(qtbot: QtBot, theme: Theme) -> RichText:
    made = RichText(theme, "Answer")
    qtbot.addWidget(made)
    made.resize(400, 100)
    return made


def test_markdown_is_rendered(text: RichText) -> None:
    text.show_markdown("# Head\n\n**bold** and `code`\n\n- one\n- two")
    assert text.toPlainText().split("\n") == ["Head", "bold and code", "one", "two"]


def test_images_of_this_computer_are_not_loaded(tmp_path: Path, text: RichText) -> None:
    picture = tmp_path / "secret.png"
    image = QImage(300, 300, QImage.Format.Format_RGB32)
    image.save(str(picture))
    url = QUrl.fromLocalFile(str(picture))
    loaded = text.document().resource(int(QTextDocument.ResourceType.ImageResource.value), url)
    assert loaded.width() == 1
    text.show_markdown(f"![a secret]({url.toString()}) after")
    assert text.toPlainText() == "a secret after"
    assert text.document().size().height() < 100


def test_html_is_shown_as_the_text_it_is(text: RichText) -> None:
    text.show_markdown("before <b>not bold</b> <script>alert(1)</script>")
    assert "<b>" in text.toPlainText()


@pytest.mark.parametrize(
    ("address", "opens"),
    [
        ("https://example.org/a", True),
        ("http://example.org", True),
        ("file:///etc/passwd", False),
        ("javascript:alert(1)", False),
        ("smb://server/share", False),
        ("letters.txt", False),
    ],
)
def test_only_web_addresses_are_handed_to_the_browser(
    monkeypatch: pytest.MonkeyPatch, address: str, opens: bool
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toString()))
    open_link(QUrl(address))
    assert bool(opened) is opens


def test_it_is_as_tall_as_what_it_holds(text: RichText, qtbot: QtBot) -> None:
    text.show()
    text.show_markdown("one line")
    low = text.height()
    text.show_markdown("line\n\n" * 20)
    assert text.height() > 5 * low


def test_a_selection_survives_growing_text(text: RichText) -> None:
    text.show_markdown("Dear friend, I")
    cursor = text.textCursor()
    cursor.setPosition(5)
    cursor.setPosition(11, cursor.MoveMode.KeepAnchor)
    text.setTextCursor(cursor)
    text.show_markdown("Dear friend, I hope")
    assert text.textCursor().selectedText() == "friend"


def test_a_bubble_is_no_wider_than_its_text(text: RichText) -> None:
    text.show_plain("Hi")
    assert text.natural_width(400) < 100
    text.show_plain("word " * 200)
    assert text.natural_width(400) <= 400
