from __future__ import annotations

import json
import stat
import sys
import threading

import pytest

from app.errors import KnownError
from app.modelstore import download
from app.modelstore.registry import Registry, models_folder
from app.places import Places
from tests.app.modelstore import serving
from tests.app.modelstore.getting import CONTENT, HALF, SHA256, SIZE, Get, part_of
from tests.app.modelstore.serving import Server


def test_a_model_is_got_checked_and_entered(get: Get, server: Server, places: Places) -> None:
    seen: list[tuple[int, int, float]] = []
    checked: list[tuple[int, int]] = []
    found = get(
        sha256=SHA256,
        size=SIZE,
        on_progress=lambda *numbers: seen.append(numbers),
        on_check=lambda *numbers: checked.append(numbers),
    )
    assert found.path == models_folder(places) / "tiny.gguf"
    assert found.path.read_bytes() == CONTENT
    assert (found.id, found.name, found.sha256, found.context) == ("tiny", "Tiny", SHA256, 2048)
    assert Registry(places).models() == (found,)
    assert [request.range for request in server.requests] == [None]
    assert seen[-1][:2] == (SIZE, SIZE) == checked[-1]
    assert all(speed > 0 for *_, speed in seen)
    assert {each.name for each in found.path.parent.iterdir()} <= {"tiny.gguf", "tiny.lock"}
    if sys.platform != "win32":
        assert stat.S_IMODE(found.path.stat().st_mode) == 0o600


def test_what_is_there_is_not_got_again(get: Get, server: Server) -> None:
    first = get()
    assert get() == first
    assert len(server.requests) == 1
    first.path.unlink()
    assert get().path.exists()
    assert len(server.requests) == 2


def test_a_dropped_connection_goes_on_where_it_broke_off(get: Get, server: Server) -> None:
    server.script.append(serving.breaking_off(HALF))
    assert get(sha256=SHA256).path.read_bytes() == CONTENT
    assert [(each.range, each.if_range) for each in server.requests] == [
        (None, None),
        (f"bytes={HALF}-", serving.ETAG),
    ]
    assert sum(each.sent for each in server.requests) == SIZE, "something was sent twice"


def test_a_connection_that_keeps_breaking_is_given_up_and_what_came_is_kept(
    get: Get, server: Server, places: Places
) -> None:
    server.usual = serving.breaking_off(1000)
    with pytest.raises(KnownError, match="run the same command again; it goes on behind the 4,000 bytes"):
        get()
    assert len(server.requests) == 4
    assert part_of(places).done == 4000
    assert Registry(places).models() == ()
    server.usual = serving.well
    assert get().path.read_bytes() == CONTENT
    assert server.requests[-1].range == "bytes=4000-"


def test_tries_that_bring_much_are_not_counted(
    get: Get, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_WORTH", 10_000)
    server.usual = serving.breaking_off(20_000)
    assert get(sha256=SHA256, pauses=(0,)).path.read_bytes() == CONTENT
    assert len(server.requests) == -(-SIZE // 20_000)


def test_a_server_that_begins_anew_and_breaks_off_each_time_is_given_up(
    get: Get, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_WORTH", 10_000)

    def forgetful(asked: serving.Asked, content: bytes) -> None:
        asked.say(200, Content_Length=SIZE)
        asked.send(content[:20_000])

    server.usual = forgetful
    with pytest.raises(KnownError, match="the connection ended after 20,000"):
        get()
    assert len(server.requests) == 4


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_pauses_grow_between_tries(get: Get, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, asked_at = Clock(), []
    monkeypatch.setattr("app.modelstore.download.time", clock)

    def busy(asked: serving.Asked, content: bytes) -> None:
        asked_at.append(round(clock.now, 3))
        serving.answering(503)(asked, content)

    server.usual = busy
    with pytest.raises(KnownError, match="busy"):
        get(pauses=(1, 3, 9))
    assert asked_at == [0, 1, 4, 13]
    assert sorted(download.PAUSES) == list(download.PAUSES)
    assert download.PAUSES[0] > 0


def test_a_stop_keeps_what_has_come_and_another_run_goes_on(
    get: Get, server: Server, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_PIECE", 10_000)
    stop = threading.Event()

    def after_a_while(done: int, total: int, speed: float) -> None:
        if done >= HALF:
            stop.set()

    with pytest.raises(download.Stopped):
        get(on_progress=after_a_while, should_stop=stop.is_set)
    done = part_of(places).done
    assert HALF <= done < SIZE
    assert not (models_folder(places) / "tiny.gguf").exists()
    assert get(sha256=SHA256).path.read_bytes() == CONTENT
    assert [each.range for each in server.requests] == [None, f"bytes={done}-"]
    assert server.requests[-1].sent == SIZE - done


def test_a_stop_is_heard_between_tries_and_while_checking(get: Get, server: Server, places: Places) -> None:
    server.usual = serving.answering(503)
    began = threading.Event()
    timer = threading.Timer(0.2, began.set)
    timer.start()
    with pytest.raises(download.Stopped):
        get(pauses=(60,), should_stop=began.is_set)
    server.usual = serving.well
    stop = threading.Event()

    def at_the_end(done: int, total: int, speed: float) -> None:
        if done == total:
            stop.set()

    with pytest.raises(download.Stopped):
        get(on_progress=at_the_end, should_stop=stop.is_set)
    assert part_of(places).complete
    asked = len(server.requests)
    get()
    assert len(server.requests) == asked, "it was all there"


def test_a_server_without_ranges_sends_all_anew(get: Get, server: Server) -> None:
    server.script.extend([serving.breaking_off(HALF), serving.ignoring_ranges])
    assert get(sha256=SHA256).path.read_bytes() == CONTENT
    assert server.requests[1].range == f"bytes={HALF}-"


def test_a_file_that_changed_on_the_server_is_got_anew(get: Get, server: Server) -> None:
    server.script.append(serving.breaking_off(HALF))
    changed = CONTENT[:-4] + b"more"

    def then(*_: object) -> None:
        server.content, server.etag = changed, '"second"'

    assert get(on_progress=then).path.read_bytes() == changed


def test_a_part_nobody_can_vouch_for_is_not_gone_on_with(get: Get, server: Server) -> None:
    """Without a mark of the version, and with only a weak one, the file may be another by now."""
    for etag in ("", 'W/"weak"'):
        server.etag = etag
        server.requests.clear()
        server.script.append(serving.breaking_off(HALF))
        get().path.unlink()
        assert [each.range for each in server.requests] == [None, None]
    server.requests.clear()
    server.script.append(serving.breaking_off(HALF))
    get(sha256=SHA256)
    assert [each.range for each in server.requests] == [None, f"bytes={HALF}-"]


def test_redirects_are_followed_five_times(get: Get, server: Server, places: Places) -> None:
    server.script.extend([serving.redirecting(f"/{step}") for step in range(5)])
    get().path.unlink()
    assert [each.path for each in server.requests] == ["/m.gguf", "/0", "/1", "/2", "/3", "/4"]
    server.usual = serving.redirecting("/again")
    server.requests.clear()
    with pytest.raises(KnownError, match="more than 5 times"):
        get()
    assert len(server.requests) == 6


def test_the_range_is_asked_for_behind_a_redirect_too(get: Get, server: Server) -> None:
    there = serving.redirecting("/there")
    server.script.extend([there, serving.breaking_off(HALF), there])
    assert get().path.read_bytes() == CONTENT
    assert server.requests[-1].path == "/there"
    assert server.requests[-1].range == f"bytes={HALF}-"


def test_a_busy_server_is_asked_again(get: Get, server: Server) -> None:
    server.script.extend([serving.answering(503), serving.answering(429)])
    assert get().path.read_bytes() == CONTENT
    assert len(server.requests) == 3


def test_a_part_of_another_file_is_thrown_away(get: Get, server: Server, places: Places) -> None:
    server.script.extend([serving.breaking_off(HALF), serving.answering(404)])
    with pytest.raises(KnownError):
        get()
    get(url=server.url("/newer.gguf"))
    assert server.requests[-1].range is None


@pytest.mark.parametrize("broken", ["{", "[]", '{"url": "x"}', "null"])
def test_a_part_without_a_readable_note_is_begun_anew(
    get: Get, server: Server, places: Places, broken: str
) -> None:
    server.script.extend([serving.breaking_off(HALF), serving.answering(404)])
    with pytest.raises(KnownError):
        get()
    note = models_folder(places) / "tiny.gguf.part.json"
    assert json.loads(note.read_text())["size"] == SIZE
    note.write_text(broken)
    assert get().path.read_bytes() == CONTENT
    assert server.requests[-1].range is None


def test_a_part_larger_than_its_file_is_begun_anew(get: Get, server: Server, places: Places) -> None:
    server.script.extend([serving.breaking_off(HALF), serving.answering(404)])
    with pytest.raises(KnownError):
        get()
    with part_of(places).path.open("ab") as part:
        part.write(bytes(SIZE))
    server.requests.clear()
    assert get().path.read_bytes() == CONTENT
    assert [each.range for each in server.requests] == [None]


def test_one_model_is_got_by_one_program_at_a_time(get: Get, server: Server, places: Places) -> None:
    refused: list[str] = []

    def meanwhile(*_: object) -> None:
        if not refused:
            with pytest.raises(KnownError) as caught:
                get()
            refused.append(str(caught.value))

    get(on_progress=meanwhile)
    assert "already" in refused[0]
    assert len(server.requests) == 1


def test_proxies_of_the_environment_are_used(
    server: Server, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url(""))
    monkeypatch.setenv("no_proxy", "")
    elsewhere = server.entry(url="http://localhost:9/m.gguf")
    found = download.get(elsewhere, places, allow_loopback=True, pauses=())
    assert found.path.read_bytes() == CONTENT
    assert [each.path for each in server.requests] == ["http://localhost:9/m.gguf"]
