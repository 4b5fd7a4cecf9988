"""Where writing is dropped, or chosen in a file dialog."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QMimeData, Qt, Signal
from PySide6.QtWidgets import QFileDialog, QFrame, QLabel

from app.desktop.icons import Icons, pixmap
from app.desktop.theme import Space, Theme
from app.desktop.views.parts import button, column, label, restyle, row


class DropZone(QFrame):
    """Emits ``chosen`` with the paths picked in a dialog; the page around it takes what is dropped."""

    chosen = Signal(list)  # of Path

    def __init__(self, theme: Theme, icons: Icons) -> None:
        super().__init__()
        self.setObjectName("drop")
        self._theme = theme
        self._picture = QLabel()
        self._picture.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.files = button("Choose files…")
        self.folder = button("Choose folder…")
        icons.put(self.files, "file")
        icons.put(self.folder, "folder")
        self.files.clicked.connect(self._choose_files)
        self.folder.clicked.connect(self._choose_folder)
        head = label("Drop your writing here", "heading")
        head.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._told = label("", "muted", wrap=True)
        self._told.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        buttons = row(gap=Space.M)
        buttons.addStretch(1)
        buttons.addWidget(self.files)
        buttons.addWidget(self.folder)
        buttons.addStretch(1)
        self._promise = label(
            "About 3,000 words – ten pages – make a reliable voice. Your files are only read, "
            "and nothing leaves this computer.",
            "small",
            wrap=True,
        )
        self._promise.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        inside = column(self, margin=Space.XL, gap=Space.S)
        inside.addStretch(1)
        for part in (self._picture, head, self._told):
            inside.addWidget(part)
        inside.addSpacing(Space.S)
        inside.addLayout(buttons)
        inside.addSpacing(Space.S)
        inside.addWidget(self._promise)
        inside.addStretch(1)
        theme.changed.connect(self._draw)
        self._draw()
        self._suffixes: tuple[str, ...] = ()
        self.show_suffixes(())

    def show_suffixes(self, suffixes: tuple[str, ...]) -> None:
        """Say which kinds of files can be read."""
        self._suffixes = suffixes
        kinds = f" ({', '.join(suffixes)})" if suffixes else ""
        self._told.setText(f"Files or whole folders: mails, letters, notes, essays you wrote yourself{kinds}")

    def show_compact(self, compact: bool) -> None:
        """Once there is writing, the drop zone makes room for the list."""
        self._picture.setVisible(not compact)
        self._promise.setVisible(not compact)

    def show_over(self, over: bool) -> None:
        """Whether something that can be dropped is held over the page."""
        restyle(self, "over", over)

    def focus(self) -> None:
        """Begin here with the keyboard."""
        self.files.setFocus()

    def _draw(self) -> None:
        self._picture.setPixmap(pixmap("drop", self._theme.colours.accent, 36))

    def _choose_files(self) -> None:
        self._ask("Choose files you wrote", QFileDialog.FileMode.ExistingFiles)

    def _choose_folder(self) -> None:
        self._ask("Choose a folder of your writing", QFileDialog.FileMode.Directory)

    def _ask(self, title: str, mode: QFileDialog.FileMode) -> None:
        dialog = QFileDialog(self, title)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setFileMode(mode)
        if mode == QFileDialog.FileMode.Directory:
            dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        else:
            known = " ".join(f"*{suffix}" for suffix in self._suffixes)
            dialog.setNameFilters([f"Writing ({known})", "All files (*)"])
        dialog.filesSelected.connect(lambda names: self.chosen.emit([Path(name) for name in names]))
        dialog.open()


def dropped_paths(data: QMimeData) -> list[Path]:
    """The files and folders of this computer among what is dropped."""
    return [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()]
