from __future__ import annotations

import io
import textwrap
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import docx
import pytest

from app.history import readers
from app.history.readers import ReadError
from app.history.records import NewDocument
from tests.app.history.writing import changed_word_file, prose, word_file

OLD_TEXTS = [
    (
        "cp1252",
        "Liebe Anna, gestern sind wir am Fluß spazieren gegangen – „sehr schön“, sagten die Kinder fröhlich.",
    ),
    (
        "cp1252",
        "Chère Anne, L’été était déjà là, et les enfants riaient à gorge déployée… Près de la rivière.",
    ),
    ("cp1252", "Rakas Anna, eilen kävelimme koko päivän joen rannalla. Sää oli kaunis, ja lapset nauroivat."),
    ("cp1252", "It wasn’t me – “honestly”, she said… and the café of Frau Müller was closed."),
    ("mac_roman", "It wasn’t me – “honestly”, she said… and she didn’t laugh."),
    ("cp1252", "L’ÉTÉ À VILLÉ: ÉCOLE FERMÉE, GOÛTER À L’ÎLE."),
    ("cp1252", "J’ai dit qu’il n’y a rien à voir, qu’on l’a vu et qu’il n’est pas là."),
    ("mac_roman", "She didn’t laugh, and I don’t know why she wouldn’t."),
    ("cp850", "Il a répondu, et il a préféré rester."),
    (
        "mac_roman",
        "Liebe Anna, gestern sind wir am Fluß spazieren gegangen – „sehr schön“, sagten die Kinder fröhlich.",
    ),
    ("cp850", "Liebe Anna, für die Grüße danke ich dir; schön, daß du schreibst."),
    ("cp850", "Chère Anne, les enfants ont répondu et préféré rester près de la rivière."),
    (
        "cp1250",
        "Cześć Aniu, wczoraj cały dzień spacerowaliśmy nad rzeką. Pogoda była śliczna, a dzieci się śmiały.",
    ),
    ("iso8859_2", "Dziękuję za paczkę, która przyszła we wtorek; czajnik gwiżdże, a kot się śmieje."),
    (
        "cp1250",
        "Milá Anno, včera jsme se celý den procházeli podél řeky. Počasí bylo nádherné a děti se smály.",
    ),
    ("cp1250", "Kedves Anna, köszönöm a csomagot, amely kedden érkezett; úgy fütyül, őszintén örülök."),
    (
        "cp1254",
        "Sevgili Ayşe, dün bütün gün nehir kıyısında yürüdük. Hava çok güzeldi, çocuklar gülüyordu, ışıl ışıl.",
    ),
    (
        "cp1254",
        "Salı günü gelen paket için teşekkür ederim; çaydanlık eskisi gibi ıslık çalıyor, kedi ise hâlâ affetmedi.",
    ),
    ("cp1257", "Paldies par sūtījumu; tējkanna svilpj kā agrāk, bet kaķis vēl nav piedevis, šķiet."),
    ("cp1257", "Miela Ona, vakar visą dieną vaikščiojome palei upę. Oras buvo gražus, o vaikai juokėsi."),
    ("cp1251", "Здравствуй, дорогая Анна! Вчера мы весь день гуляли по набережной и говорили о пустяках."),
    ("koi8_r", "Здравствуй, дорогая Анна! Вчера мы весь день гуляли по набережной и говорили о пустяках."),
    ("cp1253", "Αγαπητή Άννα, χθες περπατούσαμε όλη μέρα στην παραλία και μιλούσαμε για ασήμαντα πράγματα."),
    ("shift_jis", "昨日は一日中川沿いを散歩して、たわいもないことを話しました。天気がとても良かったです。"),
    ("euc_jp", "昨日は一日中川沿いを散歩して、たわいもないことを話しました。天気がとても良かったです。"),
    ("iso2022_jp", "昨日は一日中川沿いを散歩して、たわいもないことを話しました。天気がとても良かったです。"),
]


def only(name: str, data: bytes | str) -> NewDocument:
    (document,) = readers.parse(Path(name), data.encode() if isinstance(data, str) else data)
    return document


def refused(name: str, data: bytes) -> str:
    with pytest.raises(ReadError) as refusal:
        readers.parse(Path(name), data)
    return str(refusal.value)


# Text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_unicode_text_is_read_in_every_form_editors_save_it(encoding: str) -> None:
    text = "Dear Anna,\n\nthe café was closed – “naïve” of me to go. Yours, Żaneta 🙂"
    assert only("letter.txt", text.encode(encoding)).text == text


@pytest.mark.parametrize(("encoding", "text"), OLD_TEXTS, ids=lambda each: each[:14])
def test_text_from_before_unicode_is_read_in_its_own_letters(encoding: str, text: str) -> None:
    assert only("letter.txt", text.encode(encoding)).text == text
    assert only("letter.md", f"{text}\r\n\r\n".encode(encoding) * 50).text == "\n\n".join([text] * 50)


def test_a_piece_in_another_encoding_does_not_spoil_the_rest() -> None:
    data = "Das Café hat zu.\n".encode() + "Schade, naïv von mir.\n".encode("cp1252") + "“Ende”".encode()
    assert only("notes.txt", data).text == "Das Café hat zu.\nSchade, naïv von mir.\n“Ende”"


def test_a_text_of_one_letter_is_a_text() -> None:
    assert only("a.txt", b"a").text == "a"
    assert only("a.txt", "é".encode("cp1252")).text == "é"


@pytest.mark.parametrize("name", ["old.txt", "old.md"])
def test_what_is_no_text_is_refused_whatever_its_name(name: str) -> None:
    noise = bytes(range(256)) * 20
    for data in (b"\x89PNG\r\n\x1a\n" + noise, b"%PDF-1.5\n" + noise, bytes(500), word_file("Hello"), noise):
        assert refused(name, data) == "is no text"


def test_line_ends_of_other_systems_part_paragraphs_too() -> None:
    for end in ("\r\n", "\r", "\u2028"):
        assert only("a.txt", f"One.{end}{end}Two.  {end}Three.").text == "One.\n\nTwo.\nThree."


def test_unseen_signs_are_left_out() -> None:
    assert only("a.txt", "Don\u00adau\u200bdampf\x07 schiff\ufeff").text == "Donaudampf schiff"


def test_an_empty_text_is_refused_by_that_reason() -> None:
    for name in ("a.txt", "a.md"):
        assert refused(name, b" \n\t\r\n") == "holds no text"
        assert refused(name, b"\xef\xbb\xbf") == "holds no text"
    assert refused("a.docx", word_file("", " ")) == "holds no text"


def test_the_title_is_the_name_of_the_file() -> None:
    for name, data in (("To Anna.txt", b"Hi."), ("To Anna.md", b"Hi."), ("To Anna.docx", word_file("Hi."))):
        document = only(name, data)
        assert (document.title, document.written_at, document.text) == ("To Anna", document.written_at, "Hi.")


@pytest.mark.parametrize(
    ("name", "written_at"),
    [
        ("2016-03-07-supper.txt", "2016-03-07"),
        ("meeting 20230912.txt", "2023-09-12"),
        ("2023.09.12 meeting.md", "2023-09-12"),
        ("2023-13-40.txt", None),
        ("120230912.txt", None),
        ("2023-0912.txt", None),
        ("letter 3.txt", None),
    ],
)
def test_a_date_in_the_name_is_when_it_was_written(name: str, written_at: str | None) -> None:
    assert only(name, b"Hello there.").written_at == written_at


# Lines broken at a margin


def test_lines_broken_at_a_margin_are_put_together() -> None:
    letter = (
        "Dear Anna,\n"
        "thank you for the parcel, which came on Tuesday with the evening\n"
        "boat and had the kettle in it that I have been missing since the\n"
        "move. It whistles as it always did, and the cat has not forgiven\n"
        "it either.\n"
        "\n"
        "- tea, of which there is none to be had on this side of the water\n"
        "- a postcard\n"
        "\n"
        "Yours,\n"
        "Iris"
    )
    assert only("letter.txt", letter).text == (
        "Dear Anna,\n"
        "thank you for the parcel, which came on Tuesday with the evening boat and had the kettle in it that I have "
        "been missing since the move. It whistles as it always did, and the cat has not forgiven it either.\n"
        "\n"
        "- tea, of which there is none to be had on this side of the water\n"
        "- a postcard\n"
        "\n"
        "Yours,\n"
        "Iris"
    )


def test_lines_a_person_broke_stay_broken() -> None:
    verse = (
        "The harbour lights go out across the bay, my dear,\n"
        "and no one calls.\n"
        "A gull that has nowhere to be\n"
        "turns over once above the quiet of the old sea wall\n"
        "and falls."
    )
    paragraphs = "\n".join(prose(60, mark) for mark in ("Anna", "Ben", "Cora", "Dan", "Eve"))
    narrow = textwrap.fill(prose(100), 36)
    by_chance = "\n".join("x" * 50 if number % 3 else "word " * 11 + "words" for number in range(12))
    for text in (verse, paragraphs, narrow, textwrap.fill(prose(300), 150), by_chance):
        assert only("a.txt", text).text == text


# Markdown


def test_front_matter_gives_title_and_date_and_is_no_text() -> None:
    note = """---
title: "Of kettles"
tags:
  - kitchen
created: 2020-01-01
date: 2021-05-06
---
The kettle has come."""
    document = only("x.md", note)
    assert (document.title, document.written_at) == ("Of kettles", "2021-05-06")
    assert document.text == "The kettle has come."


@pytest.mark.parametrize(
    ("line", "written_at"),
    [
        ("created: 2020-01-01 10:30", "2020-01-01T10:30:00"),
        ("date: '2020-01-01'", "2020-01-01"),
        ("date: yesterday", None),
        ("date:", None),
        ("due: 2020-01-01", None),
    ],
)
def test_a_date_in_front_matter_is_kept_where_it_is_one(line: str, written_at: str | None) -> None:
    assert only("x.md", f"---\n{line}\n---\nHello.").written_at == written_at


def test_toml_front_matter_is_no_text_either() -> None:
    document = only("x.md", '+++\ntitle = "Kettles"\ndate = 2020-01-01T08:00:00Z\n+++\n\nHello.')
    assert (document.title, document.text) == ("Kettles", "Hello.")
    assert document.written_at == "2020-01-01T08:00:00+00:00"


def test_a_rule_at_the_top_is_not_taken_for_front_matter() -> None:
    for text in ("---\nDear Anna, the kettle has come.\n---\nYours, Iris", "---\n\nonly a rule above"):
        assert only("x.md", text).text == text


def test_of_links_pictures_and_comments_only_the_words_stay() -> None:
    note = (
        "See [[Out of Control]], [[notes/kettle|the kettle]] and [my page](https://e.org/a_(b)).[^1]\n"
        "![[photo.png]]![a cat](cat.jpg)<br/> <!-- remember\nmilk --> %%hidden%%**Truly**, as [said][1].\n\n"
        "[1]: https://e.org\n[^1]: A note at the foot, 100%% mine."
    )
    assert only("x.md", note).text == (
        "See Out of Control, the kettle and my page.\n  **Truly**, as said.\n\n\nA note at the foot, 100%% mine."
    )


def test_a_heading_is_a_paragraph_of_its_own() -> None:
    text = only("x.md", "## The kettle\nIt came.\n# Tea\nNone.").text
    assert [piece for piece in text.split("\n") if piece] == ["## The kettle", "It came.", "# Tea", "None."]
    assert "\n\nIt came." in text


# Word


def test_a_word_document_gives_its_paragraphs() -> None:
    assert only("a.docx", word_file("Dear Anna,", "", "it came.\tTruly.\nYours")).text == (
        "Dear Anna,\n\nit came.\tTruly.\nYours"
    )


def test_a_word_document_knows_when_it_was_begun(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_paragraph("Hello there.")
    document.core_properties.created = datetime(2019, 4, 5, 12, 30, tzinfo=UTC)
    document.save(str(tmp_path / "2001-01-01.docx"))
    (read,) = readers.read(tmp_path / "2001-01-01.docx")
    assert read.written_at == "2019-04-05"


def test_text_in_content_controls_and_tracked_insertions_is_read_and_what_was_deleted_is_not() -> None:
    def change(xml: str) -> str:
        run = "<w:r><w:t>{}</w:t></w:r>"
        added = f'<w:ins w:id="1">{run.format("put in")}</w:ins><w:moveFrom w:id="2">{run.format("moved")}</w:moveFrom>'
        gone = '<w:del w:id="3"><w:r><w:delText>gone</w:delText></w:r></w:del>'
        box = (
            f"<w:r><w:pict><w:txbxContent><w:p>{run.format('floating')}</w:p></w:txbxContent></w:pict></w:r>"
        )
        control = f"<w:sdt><w:sdtContent><w:p>{run.format('In a control.')}</w:p></w:sdtContent></w:sdt>"
        return xml.replace("<w:p>", f"{control}<w:p>{added}{gone}{box}", 1)

    assert (
        only("a.docx", changed_word_file(word_file(" here."), change)).text == "In a control.\n\nput in here."
    )


def test_what_is_there_twice_for_older_programs_is_read_once() -> None:
    def change(xml: str) -> str:
        both = (
            '<mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
            '<mc:Choice Requires="w14"><w:r><w:t>new</w:t></w:r></mc:Choice>'
            "<mc:Fallback><w:r><w:t>old</w:t></w:r></mc:Fallback></mc:AlternateContent>"
        )
        return xml.replace("<w:p>", f"<w:p>{both}", 1)

    assert only("a.docx", changed_word_file(word_file(" text"), change)).text == "new text"


def test_of_a_table_only_what_is_prose_is_read() -> None:
    document = docx.Document()
    table = document.add_table(1, 2)
    table.cell(0, 0).text = "Tuesday"
    table.cell(0, 1).text = prose(20)
    document.add_paragraph("Below.")
    data = io.BytesIO()
    document.save(data)
    assert only("a.docx", data.getvalue()).text == f"{prose(20)}\n\nBelow."


def test_an_old_or_locked_word_file_says_how_to_mend_it() -> None:
    assert "save it anew as .docx" in refused("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))


def test_a_word_file_that_unpacks_to_a_flood_is_refused_before_it_is_unpacked() -> None:
    for name, megabytes in (("word/more.xml", 70), ("word/media/image1.bmp", 300)):
        bomb = changed_word_file(word_file("Hello"), str, [(name, bytes(megabytes * 2**20))])
        assert len(bomb) < 2**20
        assert "far larger than it seems" in refused("a.docx", bomb)


def test_a_word_file_of_countless_parts_is_refused() -> None:
    file = io.BytesIO(word_file("Hello"))
    with zipfile.ZipFile(file, "a") as archive:
        for number in range(10_000):
            archive.writestr(f"{number}", b"")
    assert refused("a.docx", file.getvalue()) == "has more parts than any Word document"


def test_entities_are_neither_expanded_nor_fetched(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("top secret")

    def with_entities(definitions: str) -> bytes:
        def change(xml: str) -> str:
            xml = xml.replace("<w:document", f"<!DOCTYPE d [{definitions}]><w:document", 1)
            return xml.replace("Hello", "Hello&a9;")

        return changed_word_file(word_file("Hello"), change)

    laughs = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    assert refused("a.docx", with_entities(laughs)) == "is damaged, or no Word document"
    for definition in (f'SYSTEM "{secret.as_uri()}"', '"harmless"'):
        assert only("a.docx", with_entities(f"<!ENTITY a9 {definition}>")).text == "Hello"


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.999])
def test_a_torn_word_file_is_refused(keep: float) -> None:
    data = word_file(*(prose(100, mark) for mark in ("Anna", "Ben")))
    assert refused("a.docx", data[: int(len(data) * keep)]) == "is damaged, or no Word document"


def test_a_word_file_without_its_inside_is_refused() -> None:
    data = word_file("Hello")
    for change in (
        lambda xml: "",
        lambda xml: xml[:-40],
        lambda xml: "<a/>",
        lambda xml: xml.replace("w:body", "w:x"),
    ):
        assert refused("a.docx", changed_word_file(data, change)) == "is damaged, or no Word document"


# All


def test_the_suffix_decides_in_any_case_of_letters() -> None:
    assert [readers.kind_of(Path(f"a{suffix}")) for suffix in (".TXT", ".Md", ".docx", ".pdf", "")] == [
        "txt",
        "md",
        "docx",
        None,
        None,
    ]
    assert ".txt, .md, .docx" in refused("a.pdf", b"%PDF")


def test_a_file_too_large_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "large.txt"
    with file.open("wb") as opened:
        opened.truncate(readers.LARGEST_FILE + 1)
    with pytest.raises(ReadError, match="larger than 50 MB"):
        readers.read(file)
