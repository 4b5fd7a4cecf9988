"""Conversations: trees of messages, each on disk before anything is done with it."""

from __future__ import annotations

from typing import Any

from app.errors import KnownError
from app.history.database import Database
from app.history.records import Conversation, Message
from app.history.tables import Tables
from app.history.textwork import one_line, storable
from app.history.times import now

_LONGEST_TITLE = 60

_PATH = """
WITH RECURSIVE path AS (
    SELECT * FROM message WHERE id = (SELECT max(id) FROM message WHERE conversation_id = ?)
    UNION ALL
    SELECT message.* FROM message JOIN path ON message.id = path.parent_id
)
SELECT * FROM path ORDER BY id
"""


class Conversations:
    """The part of the store that holds what was said."""

    _database: Database

    def new_conversation(self, title: str = "") -> Conversation:
        """An empty conversation. Without a title, its first message gives it one."""
        moment = now()
        row = {"title": storable(title), "created_at": moment, "updated_at": moment}
        with self._database.write() as db:
            number = db.table("conversation").insert(row).last_pk
        return Conversation(id=_number(number), **row)

    def conversations(self) -> list[Conversation]:
        """All conversations, the one used last first."""
        with self._database.read() as db:
            rows = list(db.query("SELECT * FROM conversation ORDER BY updated_at DESC, id DESC"))
        return [Conversation(**row) for row in rows]

    def rename_conversation(self, conversation_id: int, title: str) -> None:
        """Give the conversation another title."""
        with self._database.write() as db:
            db.execute("UPDATE conversation SET title = ? WHERE id = ?", [storable(title), conversation_id])

    def delete_conversation(self, conversation_id: int) -> None:
        """Delete the conversation with all its messages, leaving nothing of their text in the file."""
        with self._database.erase() as db:
            db.execute("DELETE FROM conversation WHERE id = ?", [conversation_id])

    def messages(self, conversation_id: int) -> list[Message]:
        """From the first message to the newest one: the branch of the tree that was written last."""
        with self._database.read() as db:
            rows = list(db.query(_PATH, [conversation_id]))
        return [Message(**row) for row in rows]

    def add_message(
        self,
        conversation_id: int,
        role: str,
        text: str,
        *,
        parent_id: int | None = None,
        model: str = "",
        voice: str | None = None,
        strength: float = 0.0,
        seed: int | None = None,
        sampling: str = "",
    ) -> Message:
        """Add a message under ``parent_id`` (None: at the root). It is on disk when this returns.

        An answer starts as being written, with ``stopped_because`` "". Raises KnownError when the conversation
        has been deleted, ValueError for a parent of another conversation.
        """
        moment = now()
        row: dict[str, Any] = {
            "conversation_id": conversation_id,
            "parent_id": parent_id,
            "role": role,
            "text": storable(text),
            "model": model,
            "voice": voice,
            "strength": strength,
            "seed": seed,
            "prompt_tokens": 0,
            "tokens": 0,
            "tokens_per_second": 0.0,
            "stopped_because": "" if role == "assistant" else "end",
            "created_at": moment,
            "sampling": sampling,
        }
        with self._database.write() as db:
            _check_place(db, conversation_id, parent_id)
            number = db.table("message").insert(row).last_pk
            db.execute("UPDATE conversation SET updated_at = ? WHERE id = ?", [moment, conversation_id])
            if role == "user":
                db.execute(
                    "UPDATE conversation SET title = ? WHERE id = ? AND title = ''",
                    [one_line(row["text"], _LONGEST_TITLE), conversation_id],
                )
        return Message(id=_number(number), **row)

    def grow_answer(self, message_id: int, text: str) -> None:
        """Save the text so far of an answer being written; one that has ended stays as it is."""
        with self._database.write() as db:
            db.execute(
                "UPDATE message SET text = ? WHERE id = ? AND stopped_because = ''",
                [storable(text), message_id],
            )

    def set_strength(self, message_id: int, strength: float) -> None:
        """Note that an answer goes on at another strength."""
        with self._database.write() as db:
            db.execute("UPDATE message SET strength = ? WHERE id = ?", [strength, message_id])

    def finish_answer(
        self,
        message_id: int,
        text: str,
        *,
        stopped_because: str,
        seed: int | None,
        prompt_tokens: int,
        tokens: int,
        tokens_per_second: float,
    ) -> None:
        """Save the whole answer and why it ended. ``seed`` None keeps the one it was asked for with."""
        with self._database.write() as db:
            db.execute(
                "UPDATE message SET text = ?, stopped_because = ?, seed = coalesce(?, seed), prompt_tokens = ?, "
                "tokens = ?, tokens_per_second = ? WHERE id = ?",
                [
                    storable(text),
                    stopped_because,
                    seed,
                    prompt_tokens,
                    tokens,
                    tokens_per_second,
                    message_id,
                ],
            )
            db.execute(
                "UPDATE conversation SET updated_at = ? "
                "WHERE id = (SELECT conversation_id FROM message WHERE id = ?)",
                [now(), message_id],
            )

    def _settle_answers(self, db: Tables) -> int:
        """Mark the answers a killed program left unfinished; how many there were."""
        return db.execute(
            "UPDATE message SET stopped_because = 'interrupted' WHERE role = 'assistant' AND stopped_because = ''"
        ).rowcount


def _check_place(db: Tables, conversation_id: int, parent_id: int | None) -> None:
    if not db.execute("SELECT 1 FROM conversation WHERE id = ?", [conversation_id]).fetchone():
        raise KnownError("This conversation has been deleted. Start a new one.")
    if parent_id is not None:
        home = db.execute("SELECT conversation_id FROM message WHERE id = ?", [parent_id]).fetchone()
        if home != (conversation_id,):
            raise ValueError(f"message {parent_id} is not in conversation {conversation_id}")


def _number(key: Any) -> int:
    assert isinstance(key, int)
    return key
