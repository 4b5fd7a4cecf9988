from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from app.errors import KnownError
from app.modelstore import download
from app.modelstore.partial import Part
from app.modelstore.registry import models_folder
from app.places import Places
from tests.app.modelstore import serving
from tests.app.modelstore.files import PAIRS, model
from tests.app.modelstore.getting import CONTENT, HALF, SHA256, SIZE, Get, nothing_left, part_of
from tests.app.modelstore.serving import Server


@pytest.mark.parametrize(
    "told",
    ["bytes 0-{last}/{size}", "bytes {start}-{last}/999999", "bytes {start}-{last}/*", "nonsense", ""],
)
def test_a_wrong_range_is_not_put_behind_what_is_there(get: Get, server: Server, told: str) -> None:
    server.script.extend([serving.breaking_off(HALF), serving.ranging(told)])
    assert get().path.read_bytes() == CONTENT
    assert [each.range for each in server.requests] == [None, f"bytes={HALF}-", None]


def test_a_server_that_knows_no_such_range_is_asked_for_all_once(
    get: Get, server: Server, places: Places
) -> None:
    server.script.extend([serving.breaking_off(HALF), serving.answering(416)])
    get().path.unlink()
    assert [each.range for each in server.requests] == [None, f"bytes={HALF}-", None]
    server.script.extend([serving.breaking_off(HALF), serving.answering(416)] * 2)
    with pytest.raises(KnownError, match="no such part of it, twice"):
        get()


def test_a_length_too_long_is_an_error(get: Get, server: Server, places: Places) -> None:
    server.usual = serving.announcing(lambda size: size + 100)
    with pytest.raises(KnownError, match="no such part of it, twice"):
        get()
    nothing_left(places)
    with pytest.raises(KnownError, match=f"{SIZE + 100:,} bytes instead of {SIZE:,}"):
        get(sha256=SHA256, size=SIZE)
    nothing_left(places)


def test_a_length_too_short_is_an_error(get: Get, server: Server, places: Places) -> None:
    server.usual = serving.announcing(lambda size: size - 100)
    with pytest.raises(KnownError, match=r"and was deleted\. The model file .* is damaged: it is cut off"):
        get()
    nothing_left(places)
    with pytest.raises(KnownError, match=f"{SIZE - 100:,} bytes instead of {SIZE:,}"):
        get(sha256=SHA256, size=SIZE)
    nothing_left(places)


def test_more_than_was_announced_is_an_error_that_keeps_the_file(
    get: Get, server: Server, places: Places
) -> None:
    server.script.extend([serving.breaking_off(HALF), serving.chunked])
    with pytest.raises(KnownError, match="sent more than"):
        get(sha256=SHA256)
    assert part_of(places).complete
    asked = len(server.requests)
    assert get(sha256=SHA256).path.read_bytes() == CONTENT
    assert len(server.requests) == asked


def test_a_server_that_does_not_say_how_much_is_refused(get: Get, server: Server, places: Places) -> None:
    for length in (None, "-5", "many", "9" * 20):
        server.usual = lambda asked, content, length=length: asked.say(200, Content_Length=length)
        with pytest.raises(KnownError, match=r"does not say how large|cannot be got"):
            get()
        nothing_left(places)


@pytest.mark.parametrize(
    "to", ["http://192.0.2.1/m.gguf", "file:///etc/passwd", "ftp://127.0.0.1/m", "https://", "//["]
)
def test_a_redirect_to_what_is_not_secure_is_refused(
    get: Get, server: Server, places: Places, to: str
) -> None:
    server.usual = serving.redirecting(to)
    with pytest.raises(KnownError, match="not a secure one"):
        get()
    assert len(server.requests) == 1
    nothing_left(places)


def test_without_the_leave_for_tests_nothing_but_https_is_asked(server: Server, places: Places) -> None:
    with pytest.raises(KnownError, match="not a secure one"):
        download.get(server.entry(), places, pauses=())
    assert server.requests == []


def test_another_file_than_the_catalogue_means_is_deleted(get: Get, server: Server, places: Places) -> None:
    with pytest.raises(KnownError, match="not the file it should be") as caught:
        get(sha256="0" * 64, size=SIZE)
    assert SHA256 in str(caught.value)
    nothing_left(places)


def test_without_a_sum_in_the_catalogue_that_of_the_server_counts(
    get: Get, server: Server, places: Places
) -> None:
    server.script.append(serving.stating("0" * 64))
    with pytest.raises(KnownError, match="not the file it should be"):
        get()
    nothing_left(places)
    server.script.append(serving.stating(SHA256.upper()))
    assert get().sha256 == SHA256


def test_the_sum_of_the_catalogue_counts_more_than_that_of_the_server(get: Get, server: Server) -> None:
    server.script.append(serving.stating("0" * 64))
    assert get(sha256=SHA256).sha256 == SHA256


def test_the_sum_is_remembered_with_the_part(get: Get, server: Server, places: Places) -> None:
    server.etag = ""
    server.script.extend([serving.stating("1" * 64), serving.breaking_off(HALF), serving.answering(404)])
    with pytest.raises(KnownError, match="404"):
        get()
    with pytest.raises(KnownError, match="not the file it should be"):
        get()
    assert server.requests[-1].range == f"bytes={HALF}-"
    server.script.extend([serving.stating("1" * 64), serving.breaking_off(HALF), serving.stating("2" * 64)])
    get()
    assert server.requests[-1].range is None, "the file is another one by now"


def test_what_is_no_model_is_refused_after_its_first_bytes(get: Get, server: Server, places: Places) -> None:
    server.content = b"<!DOCTYPE html><title>Sign in</title>" + bytes(500_000)
    with pytest.raises(
        KnownError, match=r"sends is not a GGUF model file\. Where a network asks you to sign in"
    ):
        get()
    nothing_left(places)
    server.content = model({**PAIRS, "general.type": PAIRS["general.name"]})
    with pytest.raises(KnownError, match="not a model that writes"):
        get()
    nothing_left(places)


def test_a_full_disk_is_told_before_anything_is_written(
    get: Get, server: Server, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.modelstore.partial.free_bytes", lambda folder: SIZE + SIZE // 20 - 1)
    with pytest.raises(KnownError, match="too little room") as caught:
        get()
    assert str(models_folder(places)) in str(caught.value)
    nothing_left(places)
    monkeypatch.setattr("app.modelstore.partial.free_bytes", lambda folder: SIZE + SIZE // 20)
    get()


def test_a_disk_that_fills_up_keeps_what_there_is(
    get: Get, server: Server, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Part.append

    def filling(part: Part, file: Any, data: bytes) -> None:
        class Full:
            def write(self, data: bytes) -> int:
                raise OSError(28, "No space left on device")

        append(part, Full() if part.done > HALF else file, data)  # type: ignore[arg-type]

    monkeypatch.setattr(Part, "append", filling)
    monkeypatch.setattr(download, "_PIECE", 10_000)
    with pytest.raises(KnownError, match="No space left on device"):
        get()
    monkeypatch.undo()
    done = part_of(places).done
    assert HALF < done < SIZE
    assert get().path.read_bytes() == CONTENT
    assert server.requests[-1].range == f"bytes={done}-"


def test_what_is_not_there_is_asked_for_once(get: Get, server: Server, places: Places) -> None:
    for status in (401, 403, 404, 410, 304):
        server.requests.clear()
        server.usual = serving.answering(status)
        with pytest.raises(KnownError, match=str(status)):
            get()
        assert len(server.requests) == 1
    nothing_left(places)


def test_a_server_that_is_not_there_is_a_known_error(places: Places) -> None:
    with serving.serving(CONTENT) as gone:
        entry = gone.entry()
    with pytest.raises(KnownError, match="Check the connection"):
        download.get(entry, places, allow_loopback=True, pauses=(0,))


def test_an_answer_that_is_no_http_is_a_known_error(get: Get, server: Server) -> None:
    server.usual = lambda asked, content: asked.send(b"SSH-2.0-OpenSSH_9.6\r\n" * 3)
    with pytest.raises(KnownError, match="cannot be got"):
        get(pauses=())
    server.usual = lambda asked, content: asked.say(302, Location="/caf\u00e9", Content_Length=0)
    with pytest.raises(KnownError, match="cannot be got"):
        get(pauses=())


def test_a_folder_that_cannot_be_made_is_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    getting = functools.partial(download.get, server.entry(), allow_loopback=True, pauses=())
    with pytest.raises(KnownError, match="cannot be written to") as caught:
        getting(Places.under(tmp_path / "data"))
    assert str(tmp_path) in str(caught.value)
    assert server.requests == []
