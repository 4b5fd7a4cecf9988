"""Text of a conversation: selectable, as tall as what it holds, and unable to reach for anything outside it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, cast

from PySide6.QtCore import QSize, Qt, QUrl
from PySide6.QtGui import (
    QColor,
    QDesktopServices,
    QFontDatabase,
    QImage,
    QTextBlock,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
    QTextFragment,
    QTextFrameFormat,
    QTextOption,
    QTextTable,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QSizePolicy, QTextBrowser

from app.desktop.theme import Space, Theme

_WEB = ("http", "https")
# Markdown that models write, without raw HTML: that is shown as the text it is.
_DIALECT = QTextDocument.MarkdownFeature(
    QTextDocument.MarkdownFeature.MarkdownDialectGitHub | QTextDocument.MarkdownFeature.MarkdownNoHTML
)


class RichText(QTextBrowser):
    """Shows plain text or Markdown. Images are not loaded, and only a click opens a web link."""

    def __init__(self, theme: Theme, accessible_name: str) -> None:
        super().__init__()
        self._theme = theme
        self._markdown: str | None = None
        self.setObjectName("said")
        self.setAccessibleName(accessible_name)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setOpenLinks(False)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextBrowserInteraction | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.setTabChangesFocus(True)
        self.document().setDocumentMargin(0)
        self.document().documentLayout().documentSizeChanged.connect(self._fit)
        self.anchorClicked.connect(open_link)
        self.highlighted.connect(lambda url: self.setToolTip(url.toDisplayString()))
        theme.changed.connect(self._redraw)

    def show_plain(self, text: str) -> None:
        """Show ``text`` as it is."""
        self._markdown = None
        self.setPlainText(text)

    def show_markdown(self, text: str) -> None:
        """Show ``text`` as Markdown; what is selected stays selected while an answer grows."""
        self._markdown = text
        before = self.textCursor()
        anchor, position = before.anchor(), before.position()
        document = self.document()
        document.setMarkdown(text, _DIALECT)
        _describe_images(document)
        self._dress(document)
        if anchor != position:
            cursor = self.textCursor()
            last = document.characterCount() - 1
            cursor.setPosition(min(anchor, last))
            cursor.setPosition(min(position, last), QTextCursor.MoveMode.KeepAnchor)
            self.setTextCursor(cursor)

    def natural_width(self, most: int) -> int:
        """How wide the text is when it may be ``most`` wide."""
        copy = self.document().clone(self)
        copy.setTextWidth(most)
        width = math.ceil(copy.idealWidth()) + 2
        copy.deleteLater()
        return min(most, width)

    def loadResource(self, kind: int, name: QUrl | str) -> Any:
        """A transparent dot, whatever is asked for: what a model writes must not make the window open files.

        Nothing at all (None) will not do: then the document itself reads the file.
        """
        dot = QImage(1, 1, QImage.Format.Format_ARGB32)
        dot.fill(Qt.GlobalColor.transparent)
        return dot

    def wheelEvent(self, event: QWheelEvent) -> None:
        """The page scrolls, not the message."""
        event.ignore()

    def sizeHint(self) -> QSize:
        """As tall as the text."""
        return QSize(200, self._height())

    def minimumSizeHint(self) -> QSize:
        """As tall as the text, as narrow as need be."""
        return QSize(40, self._height())

    def _height(self) -> int:
        return math.ceil(self.document().size().height())

    def _fit(self) -> None:
        self.setFixedHeight(max(1, self._height()))

    def _redraw(self) -> None:
        if self._markdown is not None:
            self.show_markdown(self._markdown)

    def _dress(self, document: QTextDocument) -> None:
        """Give paragraphs air, and code its own ground and type."""
        ground = QColor(self._theme.colours.code)
        mono = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont).family()
        block = document.begin()
        cursor = QTextCursor(document)
        while block.isValid():
            cursor.setPosition(block.position())
            shape = QTextBlockFormat()
            is_code = block.blockFormat().hasProperty(QTextFormat.Property.BlockCodeFence)
            in_table = cursor.currentTable() is not None
            if is_code:
                shape.setBackground(ground)
                shape.setNonBreakableLines(False)
                shape.setTextIndent(Space.S)
            elif in_table:
                shape.setTopMargin(0)
                shape.setBottomMargin(0)
            else:
                shape.setLineHeight(145, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
                shape.setBottomMargin(Space.S if block.next().isValid() else 0)
            cursor.mergeBlockFormat(shape)
            for fragment in _fragments(block):
                if is_code or fragment.charFormat().fontFixedPitch():
                    cursor.setPosition(fragment.position())
                    end = fragment.position() + fragment.length()
                    cursor.setPosition(end, QTextCursor.MoveMode.KeepAnchor)
                    look = QTextCharFormat()
                    look.setFontFamilies([mono])
                    look.setBackground(ground)
                    cursor.mergeCharFormat(look)
            block = block.next()
        for frame in document.rootFrame().childFrames():
            if isinstance(frame, QTextTable):
                _dress_table(frame, QColor(self._theme.colours.line_strong))


def _dress_table(table: QTextTable, line: QColor) -> None:
    shape = table.format().toTableFormat()
    shape.setBorderCollapse(True)
    shape.setBorder(1)
    shape.setBorderStyle(QTextFrameFormat.BorderStyle.BorderStyle_Solid)
    shape.setBorderBrush(line)
    shape.setCellPadding(Space.S)
    shape.setTopMargin(Space.XS)
    shape.setBottomMargin(Space.M)
    table.setFormat(shape)


def _fragments(block: QTextBlock) -> list[QTextFragment]:
    parts = cast("Iterable[QTextBlock.iterator]", block)
    return [part.fragment() for part in parts if part.fragment().isValid()]


def _describe_images(document: QTextDocument) -> None:
    """Put their description in the place of images: none is ever loaded, and an empty frame says nothing."""
    found = []
    block = document.begin()
    while block.isValid():
        for fragment in _fragments(block):
            look = fragment.charFormat()
            if look.isImageFormat():
                found.append((fragment.position(), look.property(QTextFormat.Property.ImageAltText)))
        block = block.next()
    cursor = QTextCursor(document)
    for position, description in reversed(found):
        cursor.setPosition(position)
        cursor.deleteChar()
        cursor.insertText(str(description or ""), QTextCharFormat())


def open_link(url: QUrl) -> None:
    """Hand a web address the person clicked to their browser; anything else is not opened."""
    if url.scheme().lower() in _WEB:
        QDesktopServices.openUrl(url)
