"""OpenAI's own client against the real server: what it asks reaches the engine, what comes back it understands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.messages import ChatTurn, Sampling, Token, VoiceUse
from resources import read_text
from tests.app.server.served import HELLO, Served
from tests.fakes import finished

openai = pytest.importorskip("openai", reason="openai is not installed (extra test)")


def test_the_models_are_the_plain_one_and_the_voices_learnt_meanwhile(served: Served) -> None:
    assert [model.id for model in served.client().models.list()] == ["smollm2"]
    served.learn("my-voice")
    models = served.client().models.list()
    assert [model.id for model in models] == ["smollm2", "tiny", "tiny:my-voice"]
    assert models.data[-1].created > models.data[0].created == 0
    for name in ("tiny:my-voice", "tiny:my-voice@0.8", "smollm2"):
        assert served.client().models.retrieve(name).id == name
    with pytest.raises(openai.NotFoundError, match=r"nobody.*tiny:my-voice"):
        served.client().models.retrieve("tiny:nobody")


def test_an_answer_has_its_text_and_its_numbers(served: Served) -> None:
    served.engine.enqueue("Dear Anna, thanks.", [Token(0, "Dear"), finished("length", tokens=1)])
    whole = served.ask()
    assert whole.choices[0].message.content == "Dear Anna, thanks."
    assert whole.choices[0].message.role == "assistant"
    assert (whole.object, whole.model, whole.choices[0].finish_reason) == (
        "chat.completion",
        "smollm2",
        "stop",
    )
    usage = whole.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (11, 3, 14)
    cut = served.ask()
    assert cut.choices[0].finish_reason == "length"
    assert cut.id != whole.id


def test_a_stream_comes_while_it_is_written(served: Served) -> None:
    served.engine.enqueue([Token(0, "Dear")])
    stream = iter(served.ask(stream=True))
    opening, first = next(stream), next(stream)
    assert opening.choices[0].delta.role == "assistant"
    assert first.choices[0].delta.content == "Dear"
    served.engine.tell(1, Token(0, " Anna"))
    second = next(stream)
    assert second.choices[0].delta.content == " Anna"
    assert second.choices[0].finish_reason is None
    served.engine.finish(1, finished("length"))
    last = list(stream)
    assert [each.choices[0].finish_reason for each in last] == ["length"]
    assert {opening.id, first.id, second.id, last[0].id} == {opening.id}


def test_a_stream_ends_with_the_numbers_if_they_are_asked_for(served: Served) -> None:
    served.engine.enqueue("Dear Anna", "Dear Anna")
    chunks = list(served.ask(stream=True, stream_options={"include_usage": True}))
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].choices == []
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (11, 2)
    assert all(chunk.usage is None for chunk in served.ask(stream=True))


def test_a_stream_is_server_sent_events_that_end_with_done(served: Served) -> None:
    served.engine.enqueue("Dear")
    reply = served.http().post("/v1/chat/completions", json=HELLO | {"stream": True})
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert "access-control-allow-origin" not in reply.headers
    assert reply.text.endswith("data: [DONE]\n\n")


def test_what_is_said_of_the_sampling_reaches_the_engine(served: Served) -> None:
    served.engine.enqueue("a", "b", "c", "d")
    served.ask(
        temperature=0, top_p=0.4, max_tokens=12, seed=99, stop=["\n\n", "END"], user="anna", n=1, tools=[]
    )
    served.ask(stop="END", max_completion_tokens=13, max_tokens=12, presence_penalty=0.5)
    served.ask()
    first, second, third = (asked.sampling for asked in served.engine.asked)
    assert first == Sampling(temperature=0.0, top_p=0.4, max_tokens=12, seed=99, stop=("\n\n", "END"))
    assert second == Sampling(max_tokens=13, stop=("END",))
    assert third == Sampling()


def test_the_form_of_the_answer_reaches_the_engine_as_a_schema(served: Served) -> None:
    schema = {"type": "object", "properties": {"subject": {"type": "string"}}}
    served.engine.enqueue("a", "b", "c")
    for form in (
        {"type": "json_schema", "json_schema": {"name": "mail", "schema": schema}},
        {"type": "json_object"},
        {"type": "text"},
    ):
        served.ask(response_format=form)
    first, second, third = (asked.sampling.json_schema for asked in served.engine.asked)
    assert json.loads(first) == schema
    assert json.loads(second) == {"type": "object"}
    assert third == ""


def test_the_name_of_the_model_says_the_voice_and_its_strength(served: Served) -> None:
    served.learn("my-voice")
    served.learn("at@0.5")
    served.engine.enqueue(*"abcdef")
    for name in (
        "smollm2",
        "tiny:my-voice",
        "tiny:my-voice@0.8",
        "tiny:my-voice@0",
        "tiny:at@0.5",
        "tiny:at@0.5@2",
    ):
        assert served.ask(model=name).model == name
    plain, voice, weaker, none, odd, strongest = (asked.voice for asked in served.engine.asked)
    assert plain is None
    assert none is None, "strength 0 is the plain model, exactly"
    uses = [use for use in (voice, weaker, odd, strongest) if isinstance(use, VoiceUse)]
    assert [use.strength for use in uses] == [1.0, 0.8, 1.0, 2.0]
    assert (
        uses[0].control_vector == uses[1].control_vector != uses[2].control_vector == uses[3].control_vector
    )


def test_a_voice_that_is_not_there_is_refused_with_what_there_is(served: Served) -> None:
    served.learn("my-voice")
    for name in ("tiny:nobody", "gpt-4o", "tiny:my-voice@strong", "smollm2@0.5"):
        with pytest.raises(openai.NotFoundError, match=r"smollm2, tiny, tiny:my-voice") as caught:
            served.ask(model=name)
        assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    for strength in ("2.1", "-1", "nan", "inf"):
        with pytest.raises(openai.BadRequestError, match=r"0 .*to 2"):
            served.ask(model=f"tiny:my-voice@{strength}")
    assert served.engine.asked == []


def test_a_voice_whose_file_is_gone_says_to_learn_again(served: Served) -> None:
    served.learn("my-voice")
    for file in served.places.voices.rglob("*.gguf"):
        file.unlink()
    with pytest.raises(openai.InternalServerError, match="Learn the voice again") as caught:
        served.ask(model="tiny:my-voice")
    assert caught.value.status_code == 503


def test_the_conversation_reaches_the_engine_as_the_client_wrote_it(served: Served) -> None:
    served.engine.enqueue("a", "b")
    served.ask()
    parts: list[dict[str, Any]] = [{"type": "text", "text": "One"}, {"type": "text", "text": "two"}]
    served.ask(
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Yes?"},
            {"role": "assistant", "content": "  "},
            {"role": "user", "content": parts},
            {"role": "user", "content": "three"},
        ]
    )
    own, theirs = (asked.turns for asked in served.engine.asked)
    assert own == (ChatTurn("system", read_text("prompts", "system.txt")), ChatTurn("user", "Hello"))
    assert theirs == (
        ChatTurn("system", "Be brief."),
        ChatTurn("user", "Hello"),
        ChatTurn("assistant", "Yes?"),
        ChatTurn("user", "One\ntwo\n\nthree"),
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tools", [{"type": "function", "function": {"name": "look_up"}}]),
        ("n", 2),
        ("logprobs", True),
        ("response_format", {"type": "grammar"}),
        ("response_format", {"type": "json_schema", "json_schema": {"schema": "object"}}),
        ("response_format", "json"),
        ("temperature", 3),
        ("top_p", "much"),
        ("max_tokens", 0),
        ("max_completion_tokens", 1.5),
        ("seed", -1),
        ("stop", ["a", "b", "c", "d", "e"]),
        ("stop", [""]),
        ("stream", "yes"),
        ("messages", []),
        ("messages", [{"role": "system", "content": "Be brief."}]),
        ("messages", [{"role": "user", "content": " "}]),
    ],
)
def test_what_is_not_supported_is_refused_by_its_name(served: Served, field: str, value: Any) -> None:
    reply = served.http().post("/v1/chat/completions", json=HELLO | {field: value})
    error = reply.json()["error"]
    assert reply.status_code == 400
    assert set(error) == {"message", "type", "code", "param"}
    assert (error["type"], error["param"]) == ("invalid_request_error", field)
    assert field in error["message"]
    assert served.engine.asked == []


@pytest.mark.parametrize(
    ("message", "place"),
    [
        ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}, "content"),
        ({"role": "user", "content": None}, "content"),
        ({"role": "tool", "content": "42"}, "role"),
        ({"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}, "tool_calls"),
    ],
)
def test_messages_that_are_not_text_are_refused(served: Served, message: Any, place: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        served.ask(messages=[*HELLO["messages"], message])
    assert caught.value.param == f"messages[1].{place}"
    assert served.engine.asked == []


def test_a_body_that_is_no_json_object_is_refused(served: Served) -> None:
    for body in (b"", b"{", b"[1]", b"\xff", b"[" * 100_000, b'{"n": ' + b"1" * 5000 + b"}"):
        reply = served.http().post("/v1/chat/completions", content=body)
        assert (reply.status_code, reply.json()["error"]["type"]) == (400, "invalid_request_error"), body[:20]
    assert served.told == []


def test_half_a_surrogate_pair_is_no_bug(served: Served) -> None:
    served.engine.enqueue("fine")
    http = served.http()
    broken = b'{"model": "smollm2", "messages": [{"role": "user", "content": "Hello \\ud800"}]}'
    assert http.post("/v1/chat/completions", content=broken).status_code == 200
    assert served.engine.asked[0].turns[-1].content == "Hello ?"
    unknown = broken.replace(b"smollm2", b"\\ud800")
    assert http.post("/v1/chat/completions", content=unknown).status_code == 404


def test_what_this_server_has_not_is_said(served: Served) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        served.client().embeddings.create(model="smollm2", input="Hello")
    assert (caught.value.status_code, caught.value.code) == (501, "not_supported")
    for method, path, status in (("GET", "/v1/nothing", 404), ("GET", "/v1/chat/completions", 405)):
        reply = served.http().request(method, path)
        assert reply.status_code == status
        assert set(reply.json()["error"]) == {"message", "type", "code", "param"}


def test_a_text_is_gone_on_with_as_it_stands(served: Served) -> None:
    served.learn("my-voice")
    served.engine.enqueue(" upon a time", [Token(0, " upon"), finished("length", tokens=1)])
    complete = served.client().completions.create
    whole = complete(model="tiny:my-voice@0.5", prompt="Once", seed=3, max_tokens=9)
    assert (whole.object, whole.choices[0].text) == ("text_completion", " upon a time")
    assert (whole.choices[0].finish_reason, whole.usage.completion_tokens) == ("stop", 4)
    assert complete(model="smollm2", prompt=["Once"]).choices[0].finish_reason == "length"
    first, second = served.engine.asked
    assert (first.opening, first.turns, first.sampling) == ("Once", (), Sampling(seed=3, max_tokens=9))
    assert first.voice is not None
    assert first.voice.strength == 0.5
    assert second.opening == "Once"


def test_the_rest_of_a_text_can_be_streamed(served: Served) -> None:
    served.engine.enqueue("upon a time")
    chunks = list(
        served.client().completions.create(
            model="smollm2", prompt="Once", stream=True, stream_options={"include_usage": True}
        )
    )
    *texts, numbers = chunks
    assert "".join(each.choices[0].text for each in texts) == "upon a time"
    assert [each.choices[0].finish_reason for each in texts][-2:] == [None, "stop"]
    assert (numbers.choices, numbers.usage.completion_tokens) == ([], 3)
    assert {each.object for each in chunks} == {"text_completion"}


@pytest.mark.parametrize(
    ("field", "value"),
    [("prompt", ""), ("prompt", ["a", "b"]), ("prompt", [[1, 2]]), ("echo", True), ("suffix", "."), ("n", 2)],
)
def test_of_a_text_to_go_on_with_too_what_is_not_supported_is_named(
    served: Served, field: str, value: Any
) -> None:
    reply = served.http().post(
        "/v1/completions", json={"model": "smollm2", "prompt": "Once"} | {field: value}
    )
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, field)
