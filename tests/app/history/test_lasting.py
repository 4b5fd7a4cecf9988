"""What the store has said is saved survives the worst end a program can come to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.history.store import Store
from app.places import Places, hold

# Writes, says so, and waits for its end, or makes one without any of Python's tidying up.
CHILD = """
import os, sys, time
from pathlib import Path
from app.history.records import NewDocument, Pair
from app.history.store import Store
from app.places import Places, hold

places = Places.under(Path(sys.argv[1]))
with hold(places):
    store = Store.open(places.database)
    document = NewDocument("a", None, "note", "The ferry was late again. " * 20)
    source = store.add_source("/a/1.txt", "txt", "1", [document])
    passage = store.training_documents()[0].passages[0]
    run = store.start_run("mine", "tiny", {}, [source.id])
    store.add_pair(run, Pair("k", "history", passage.id, "topic", "q", passage.text, "plain"))
    conversation = store.new_conversation()
    said = store.add_message(conversation.id, "user", "Cancel dinner")
    answer = store.add_message(conversation.id, "assistant", "", parent_id=said.id)
    store.grow_answer(answer.id, "I am sor")
    print("saved", flush=True)
    if sys.argv[2] == "exit":
        os._exit(9)
    number = 0
    while True:  # killed while writing
        number += 1
        store.grow_answer(answer.id, "I am sorry. " * number)
        print(number, flush=True)
"""


@pytest.mark.parametrize("how", ["exit", "kill"])
def test_nothing_acknowledged_is_lost_when_the_program_is_killed(places: Places, how: str) -> None:
    root = Path(__file__).parents[3]
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(places.data), how], stdout=subprocess.PIPE, text=True, cwd=root
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "saved\n"
    if how == "kill":
        for _ in range(50):
            child.stdout.readline()
        os.kill(child.pid, signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
    acknowledged = [int(line) for line in child.stdout.read().split()]
    child.stdout.close()
    assert child.wait(30) != 0

    with hold(places), Store.open(places.database) as store:
        assert store.recover() == 1
        said, answer = store.messages(store.conversations()[0].id)
        assert said.text == "Cancel dinner"
        assert answer.stopped_because == "interrupted"
        if how == "kill":
            written = answer.text.count("sorry")
            assert written >= max(acknowledged, default=50)
            assert answer.text == "I am sorry. " * written
        else:
            assert answer.text == "I am sor"
        assert store.totals().words == 100
        assert [pair.key for pair in store.pairs("mine")] == ["k"]
        assert store.voices() == []
