"""Voices, the runs that learnt them, and the pairs the runs made."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping
from typing import Any

from app.errors import KnownError
from app.history.database import Database
from app.history.records import Likeness, Pair, Voice
from app.history.tables import Tables
from app.history.textwork import storable
from app.history.times import now

_LEARNT = """
SELECT voice.id, voice.name, voice.created_at, run.model_id, run.ended_at AS learnt_at, run.files, run.strength,
    run.likeness, run.insight, run.out_of_date,
    (SELECT count(DISTINCT pair.key) FROM pair JOIN run AS made ON made.id = pair.run_id
        WHERE made.voice_id = voice.id AND made.model_id = run.model_id) AS pairs
FROM voice JOIN run ON run.id = (
    SELECT max(id) FROM run AS each WHERE each.voice_id = voice.id AND each.state = 'finished'
)
"""


class Voices:
    """The part of the store that holds what was learnt."""

    _database: Database

    def voices(self) -> list[Voice]:
        """The voices that have been learnt, by name."""
        with self._database.read() as db:
            rows = list(db.query(f"{_LEARNT} ORDER BY voice.name"))
        return [_voice(row) for row in rows]

    def voice(self, name: str) -> Voice:
        """The voice called ``name``. Raises KnownError naming those that exist."""
        with self._database.read() as db:
            rows = list(db.query(f"{_LEARNT} WHERE voice.name = ?", [name]))
        if rows:
            return _voice(rows[0])
        raise KnownError(self._unknown(name))

    def delete_voice(self, name: str) -> None:
        """Delete the voice with its runs and pairs, one never learnt to the end too; its files are left to
        the caller. Raises KnownError naming those that exist."""
        with self._database.erase() as db:
            if db.execute("DELETE FROM voice WHERE name = ?", [name]).rowcount == 0:
                raise KnownError(self._unknown(name))

    def start_run(
        self, voice_name: str, model_id: str, settings: Mapping[str, object], source_ids: Collection[int]
    ) -> int:
        """Begin to learn a voice from these sources; the id of the run. A voice not there yet is created."""
        moment = now()
        with self._database.write() as db:
            db.execute(
                "INSERT INTO voice (name, created_at) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
                [voice_name, moment],
            )
            (voice_id,) = db.execute("SELECT id FROM voice WHERE name = ?", [voice_name]).fetchone()
            run_id = db.execute(
                "INSERT INTO run (voice_id, model_id, settings, state, started_at) "
                "VALUES (?, ?, ?, 'running', ?)",
                [voice_id, model_id, json.dumps(dict(settings)), moment],
            ).lastrowid
            assert run_id is not None
            for source_id in source_ids:
                db.execute("INSERT INTO run_source (run_id, source_id) VALUES (?, ?)", [run_id, source_id])
        return run_id

    def add_pair(self, run_id: int, pair: Pair) -> None:
        """Keep a pair; it is on disk when this returns.

        One whose passage has been removed meanwhile is not kept, nor one of a voice deleted meanwhile.
        """
        values = {
            name: storable(value) if isinstance(value, str) else value for name, value in vars(pair).items()
        }
        with self._database.write() as db:
            db.execute(
                "INSERT INTO pair (run_id, passage_id, key, source, kind, query, own, plain, made_at) "
                "SELECT :run_id, :passage_id, :key, :source, :kind, :query, :own, :plain, :made_at "
                "WHERE EXISTS (SELECT 1 FROM passage WHERE id = :passage_id) "
                "AND EXISTS (SELECT 1 FROM run WHERE id = :run_id)",
                values | {"run_id": run_id, "made_at": now()},
            )

    def pairs(self, voice_name: str) -> list[Pair]:
        """What all runs of the voice made, of each key the newest, in the order they were made."""
        with self._database.read() as db:
            rows = list(
                db.query(
                    "SELECT key, source, passage_id, kind, query, own, plain FROM pair WHERE id IN ("
                    "SELECT max(pair.id) FROM pair JOIN run ON run.id = pair.run_id "
                    "JOIN voice ON voice.id = run.voice_id WHERE voice.name = ? GROUP BY pair.key) ORDER BY id",
                    [voice_name],
                )
            )
        return [Pair(**row) for row in rows]

    def set_insight(self, run_id: int, text: str) -> None:
        """Keep what the run found out about how the person writes."""
        with self._database.write() as db:
            db.execute("UPDATE run SET insight = ? WHERE id = ?", [storable(text), run_id])

    def finish_run(
        self,
        run_id: int,
        files: Mapping[str, str],
        strength: float,
        likeness: Likeness,
        report: Mapping[str, str],
        seconds: float,
    ) -> None:
        """The run succeeded: from now on its voice is what this run learnt.

        ``files``: paths relative to the folder of the voices, by kind. Raises KnownError when the voice has
        been deleted meanwhile.
        """
        with self._database.write() as db:
            changed = db.execute(
                "UPDATE run SET state = 'finished', files = ?, strength = ?, likeness = ?, report = ?, "
                "seconds = ?, ended_at = ? WHERE id = ?",
                [
                    json.dumps(dict(files)),
                    strength,
                    json.dumps(dataclasses.asdict(likeness)),
                    json.dumps(dict(report)),
                    seconds,
                    now(),
                    run_id,
                ],
            ).rowcount
            if not changed:
                raise KnownError("The voice was deleted while it was being learnt. Learn it again.")

    def fail_run(self, run_id: int, reason: str) -> None:
        """The run ended without a voice; its pairs stay for the next one."""
        with self._database.write() as db:
            db.execute(
                "UPDATE run SET state = 'failed', reason = ?, ended_at = ? WHERE id = ?",
                [storable(reason), now(), run_id],
            )

    def _settle_runs(self, db: Tables) -> None:
        """Mark the runs a killed program left unfinished."""
        db.execute(
            "UPDATE run SET state = 'failed', reason = 'interrupted', ended_at = ? WHERE state = 'running'",
            [now()],
        )

    def _unknown(self, name: str) -> str:
        there = ", ".join(voice.name for voice in self.voices())
        remedy = f"There are: {there}." if there else "None is learnt yet. Learn one: idiolect learn"
        return f"There is no voice called {name!r}. {remedy}"


def _voice(row: dict[str, Any]) -> Voice:
    likeness = json.loads(row["likeness"]) if row["likeness"] else None
    return Voice(
        **row
        | {
            "files": json.loads(row["files"]),
            "likeness": Likeness(**likeness) if likeness is not None else None,
            "out_of_date": bool(row["out_of_date"]),
        }
    )
