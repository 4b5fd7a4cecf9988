"""Messages as lines: exactly what went in comes out, and what is no message is said to be none."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import dataclass
from typing import Any

import pytest

from engine.messages import (
    EVENTS,
    REQUESTS,
    Cancel,
    ChatTurn,
    Failed,
    Finished,
    Generate,
    Load,
    Ready,
    Sampling,
    Token,
    VoiceUse,
)
from engine.wire import Vocabulary, WireError, sender

TEXT = 'Grüße\n"你好" \u2028\x00\x1f \\ 👩‍👩‍👧'
MESSAGES: list[tuple[Vocabulary, Any]] = [
    (REQUESTS, Load("/models/märchen.gguf", 2048, 3)),
    (REQUESTS, Load("/models/not-utf8-\udcff.gguf")),
    (REQUESTS, Cancel(3)),
    (REQUESTS, Generate(1, (ChatTurn("system", TEXT), ChatTurn("user", "")))),
    (REQUESTS, Generate(2, (), VoiceUse("/v.gguf", 0.5), Sampling(temperature=0.0, seed=2**31))),
    (REQUESTS, Generate(2, (), VoiceUse(adapter="/a.gguf"), Sampling(temperature=1))),
    (EVENTS, Ready("Tiny", "llama", "0" * 64, 64, 4, 512, 0.25)),
    (EVENTS, Token(1, TEXT)),
    (EVENTS, Finished(1, "end", 7, 10, 3, 0.5, 20.0, 2)),
    (EVENTS, Failed(None, True, "gone")),
    (EVENTS, Failed(4, False, TEXT)),
]


@pytest.mark.parametrize(("vocabulary", "message"), MESSAGES)
def test_a_message_comes_out_as_it_went_in_on_one_line(vocabulary: Vocabulary, message: Any) -> None:
    line = vocabulary.encode(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    decoded = vocabulary.decode(line)
    assert decoded == message
    assert type(decoded) is type(message)


def test_nested_messages_come_back_as_what_they_were() -> None:
    @dataclass(frozen=True)
    class Inner:
        number: float

    @dataclass(frozen=True)
    class Outer:
        many: tuple[Inner, ...]
        named: dict[str, Inner]
        perhaps: Inner | None = None

    Outer.__annotations__.update(many=tuple[Inner, ...], named=dict[str, Inner], perhaps=Inner | None)
    Inner.__annotations__.update(number=float)
    vocabulary = Vocabulary([Outer])
    for message in (Outer((Inner(1.0),), {"a": Inner(2.5)}, Inner(0.0)), Outer((), {})):
        assert vocabulary.decode(vocabulary.encode(message)) == message


def test_fields_left_out_have_their_defaults() -> None:
    assert REQUESTS.decode(b'{"is":"Load","model_path":"m"}') == Load("m")
    assert REQUESTS.decode(b'{"is":"Generate","id":1,"turns":[]}') == Generate(1, ())


def test_the_first_two_fields_of_a_voice_are_its_vector_and_its_strength() -> None:
    assert VoiceUse("/v.gguf", 0.7) == VoiceUse(control_vector="/v.gguf", strength=0.7, adapter="")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"hello\n",
        b"{}",
        b"[]",
        b"null",
        b"7",
        b'{"is":"Load"}',
        b'{"is":"Nobody","id":1}',
        b'{"is":["Load"],"model_path":"m"}',
        b'{"is":"Ready"}',
        b'{"is":"Cancel","id":1,"extra":2}',
        b'{"is":"Cancel","id":"1"}',
        b'{"is":"Cancel","id":[1]}',
        b'{"is":"Cancel","id":null}',
        b'{"is":"Cancel","id":1.5}',
        b'{"is":"Cancel","id":true}',
        b'{"is":"Load","model_path":7}',
        b'{"is":"Generate","id":1,"turns":"abc"}',
        b'{"is":"Generate","id":1,"turns":{}}',
        b'{"is":"Generate","id":1,"turns":[1]}',
        b'{"is":"Generate","id":1,"turns":[{"role":"user"}]}',
        b'{"is":"Generate","id":1,"turns":[],"voice":7}',
        b'{"is":"Generate","id":1,"turns":[],"sampling":{"temperature":"hot"}}',
        b'{"is":"Generate","id":1,"turns":[],"sampling":{"temperature":1' + b"0" * 400 + b"}}",
        b'{"is":"Cancel","id":1',
        b'{"is":"Cancel","id":1}{"is":"Cancel","id":1}',
        b'\xff\xfe{"is":"Cancel","id":1}',
        b'{"is":"Cancel\xff","id":1}',
        b"[" * 100_000,
    ],
    ids=lambda line: repr(line[:60]),
)
def test_a_line_that_is_no_message_is_said_to_be_none(line: bytes) -> None:
    with pytest.raises(WireError, match="not a message"):
        REQUESTS.decode(line)


@pytest.mark.parametrize("message", [Token(1, "text"), ChatTurn("user", "text"), "text", None, Load])
def test_only_messages_of_the_pipe_are_sent(message: object) -> None:
    with pytest.raises(WireError, match="is not a message of this pipe"):
        REQUESTS.encode(message)


class Slow(io.RawIOBase):
    """A pipe that takes three bytes at a time, and lets other threads have their turn."""

    def __init__(self) -> None:
        self.taken = bytearray()

    def write(self, data: Any, /) -> int:
        self.taken += bytes(data[:3])
        time.sleep(1e-6)
        return min(3, len(data))


def test_a_line_arrives_whole_through_a_pipe_that_takes_a_part() -> None:
    pipe = Slow()
    sender(EVENTS, pipe)(Token(1, TEXT))  # type: ignore[arg-type]
    assert EVENTS.decode(bytes(pipe.taken)) == Token(1, TEXT)


def test_lines_of_several_threads_do_not_mix() -> None:
    pipe = Slow()
    send = sender(EVENTS, pipe)  # type: ignore[arg-type]

    def talk(who: int) -> None:
        for number in range(15):
            send(Token(who, str(number) * 20))

    threads = [threading.Thread(target=talk, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    heard = [EVENTS.decode(line) for line in bytes(pipe.taken).splitlines()]
    for who in range(4):
        assert [each.text for each in heard if each.id == who] == [str(n) * 20 for n in range(15)]


def test_what_a_library_prints_is_kept_out_of_the_pipe() -> None:
    script = """
        import os
        from engine.messages import EVENTS, REQUESTS, Token
        from engine.wire import sender, take_stdio

        requests, events = take_stdio()
        os.write(1, b"noise")  # as native code does
        print("noise", flush=True)
        assert os.read(0, 10) == b""  # nobody else may read the requests
        sender(EVENTS, events)(Token(REQUESTS.decode(requests.readline()).id, "heard"))
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        input=b'{"is":"Cancel","id":5}\n',
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert json.loads(result.stdout) == {"is": "Token", "id": 5, "text": "heard"}
    assert result.stderr.count(b"noise") == 2
