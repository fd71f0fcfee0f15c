"""A text is what its author sees, in whatever encoding it came, or a line says that it is not known."""

import io
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llm_stage import stage_of, staged_file

from staging import Attachment, llm
from staging.llm._converter.clean import Cleaner
from staging.llm._converter.detection import UNKNOWN, detect
from staging.llm._converter.text import decide, looks_like_text
from staging.llm._files import UnreadableError
from staging.llm._process import Answer
from staging.llm.extract import Excerpt, text_of

pytestmark = pytest.mark.usefixtures("shared_converters")

RUSSIAN, POLISH = (
    "Протокол собрания: в понедельник обсуждаем бюджет.\n",
    "Zażółć gęślą jaźń. Spotkanie w poniedziałek.\n",
)
JAPANESE, CHINESE = (
    "会議の議事録です。来週の月曜日に予算について話し合います。\n",
    "会议记录：下周一上午九点在三楼会议室讨论预算。\n",
)

LEGACY = {
    "cp1252": "Straße;Stück;Preis\r\nMüllerweg 3;12;4,50 €\r\n",
    "cp1250": POLISH,
    "iso8859_2": POLISH,
    "cp1251": RUSSIAN,
    "koi8_r": RUSSIAN,
    "cp866": RUSSIAN,
    "iso8859_5": RUSSIAN,
    "mac_cyrillic": RUSSIAN,
    "gb18030": CHINESE,
    "gbk": CHINESE,
    "big5": "會議記錄：下週一上午九點在三樓會議室討論預算。\n",
    "cp932": JAPANESE,
    "euc_jp": JAPANESE,
    "iso2022_jp": JAPANESE,
    "cp949": "회의록: 다음 주 월요일 오전 아홉 시에 예산을 논의합니다.\n",
    "cp1253": "Πρακτικά της συνεδρίασης: τη Δευτέρα συζητάμε.\n",
    "cp1254": "Şirketin yıllık raporu görüşülüyor, bütçe.\n",
    "cp1255": "פרוטוקול הישיבה: ביום שני נדון בתקציב המחלקה.\n",
    "cp1256": "محضر الاجتماع: نناقش الميزانية يوم الاثنين.\n",
    "cp874": "รายงานการประชุม วันจันทร์เราจะพูดคุยเรื่องงบประมาณ\n",
    "cp1257": "Ąžuolas šlama prie upės, žmonės eina namo.\n",
    "mac_roman": "Réunion à Zürich : les élèves préparent le déjeuner.\n",
    "cp437": "Größe des Ordners; Übertragung läuft für Müller\n",
    "utf-16-le": RUSSIAN,
    "utf-16-be": RUSSIAN,
    "utf-32-le": RUSSIAN,
    "utf-32-be": "error 0x80070005\n",
    "utf-16": CHINESE,
}


def told(content: bytes, declared: str = "") -> str:
    found = decide(io.BytesIO(content), declared) or detect(content)
    return content.decode(found.codec or "ascii", "replace").lstrip("\ufeff")


@pytest.mark.parametrize("codec", LEGACY)
@pytest.mark.parametrize("times", [3, 20])
def test_an_old_encoding_is_no_mojibake(codec, times):
    assert told((LEGACY[codec] * times).encode(codec)) == LEGACY[codec] * times


@pytest.mark.parametrize(
    "text",
    [
        "L’élève a reçu une leçon à l’école.\n",
        "Mañana, señor Núñez. ¿Qué tal?\n",
        "Räksmörgås på ön.\n",
        "La città è più bella.\n",
    ],
)
def test_sister_code_pages_are_told_apart_by_the_letters_of_one_language(text):
    assert told((text * 3).encode("cp1252")) == text * 3


@pytest.mark.parametrize(
    ("content", "shown", "remark"),
    [
        ("日志：服务\n".encode() * 50 + b"\xff\n", "日志：服务\n" * 50 + "\ufffd\n", "1 bad byte shown as U+FFFD"),
        (("日志：服务\n" * 50).encode()[:-3], None, ""),
        (("é" + "日志：服务\n" * 50).encode()[1:], None, ""),
        (
            "Größe\n".encode() * 30 + "Stück\n".encode("cp1252") + "Größe\n".encode() * 30,
            None,
            "1 bad byte shown as U+FFFD",
        ),
        (
            b"plain ascii log line\n" * 40 + b"\xff\n",
            "plain ascii log line\n" * 40 + "\ufffd\n",
            "1 bad byte shown as U+FFFD",
        ),
    ],
)
def test_mostly_utf_8_is_utf_8(content, shown, remark):
    found = decide(io.BytesIO(content)) or detect(content)
    assert (found.codec, found.remark) == ("utf-8", remark)
    assert shown is None or content.decode("utf-8", "replace") == shown


@pytest.mark.parametrize(
    ("declared", "content"),
    [
        ("windows-1251", RUSSIAN.encode("cp1251")),
        ("Shift_JIS", JAPANESE.encode("cp932")),
        ("utf-16le", RUSSIAN.encode("utf-16-le")),
        ("", ('<?xml version="1.0" encoding="windows-1251"?>' + RUSSIAN).encode("cp1251")),
        ("", ("# -*- coding: koi8-r -*-\n# " + RUSSIAN).encode("koi8_r")),
        ("", ("#!/usr/bin/ruby\n# encoding: shift_jis\n" + JAPANESE).encode("cp932")),
        ("", ('@charset "windows-1250";\n' + POLISH).encode("cp1250")),
        ("", ("<html><head><!--" + "x" * 1100 + '--><meta charset="windows-1251">' + RUSSIAN).encode("cp1251")),
    ],
)
def test_what_is_declared_counts_if_the_bytes_are_that(declared, content):
    shown = told(content, declared)
    assert any(text in shown for text in (RUSSIAN, JAPANESE, POLISH))


@pytest.mark.parametrize("declared", ["utf-8", "ascii", "unicode_escape", "base64", "no-such-charset", "euc-kr"])
def test_a_false_declaration_does_no_harm(declared):
    assert told((RUSSIAN * 5).encode("cp1251"), declared) == RUSSIAN * 5
    assert told((RUSSIAN * 5).encode(), declared) == RUSSIAN * 5


@pytest.mark.parametrize("declared", ["utf-16", "U16", "utf_16", "unicode", "utf-32", "u32", "utf-32be"])
@pytest.mark.parametrize(
    "content", [b"caf\xe9 tr\xe8s", b"caf\xe9 \xe8", b"\xe9", b"caf\xe9", RUSSIAN.encode("cp1251")]
)
def test_wide_letters_are_declared_falsely_without_harm(declared, content):
    found = decide(io.BytesIO(content), declared)
    assert found is None or found.codec == "utf-8"


@pytest.mark.parametrize(
    ("declared", "codec"),
    [("utf-16", "utf-16-le"), ("unicode", "utf-16-le"), ("utf-16be", "utf-16-be"), ("u32", "utf-32-le")],
)
@pytest.mark.parametrize(
    "text", ["会議の議事録です。来週の月曜日に予算について話し合います。", "会议记录", "ひらがなで書かれた文を読む。"]
)
def test_wide_letters_without_a_mark_or_zero_bytes_are_what_is_declared(declared, codec, text):
    assert told(text.encode(codec), declared) == text


async def test_a_converter_that_names_a_codec_of_marks_is_decoded_without_one(tmp_path, monkeypatch):
    async def convert(_handle, _task, *, take, **_):
        take("utf-16")
        return Answer()

    monkeypatch.setattr("staging.llm.extract.convert", convert)
    assert (await text_of(staged_file(tmp_path, "a.txt", POLISH.encode("cp1250")), 100)).head


async def test_a_false_declaration_loses_no_sibling(tmp_path):
    claim = Attachment("", data=b"", media_type="text/plain; charset=utf-16")
    file = replace(staged_file(tmp_path, "a.txt", b"caf\xe9 tr\xe8s"), attachment=claim)
    shown = await llm.prompt(stage_of(tmp_path, file, ("b.txt", b"beside it")))
    assert "café" in shown
    assert "beside it" in shown


async def test_the_senders_charset_is_asked(tmp_path):
    attachment = Attachment("https://x/y", media_type="text/plain; charset=KOI8-R")
    file = staged_file(tmp_path, "a.txt", "да".encode("koi8_r"))
    assert (await text_of(replace(file, attachment=attachment), 100)).head == "да"


@pytest.mark.parametrize(
    ("declared", "text"), [("KOI8-R", "Мама мыла раму"), ("windows-1251", "ЗАКАЗ: Чай"), ("iso-8859-1", "Temp 37 °C")]
)
async def test_the_senders_charset_is_asked_for_a_page(declared, text, tmp_path):
    attachment = Attachment("https://x/y", media_type=f"text/html; charset={declared}")
    file = staged_file(tmp_path, "a.html", f"<!doctype html><p>{text}</p>".encode(declared))
    found = await text_of(replace(file, attachment=attachment), 100)
    assert (found.head.strip(), found.remark) == (text, "a page as Markdown")


async def test_a_charset_without_end_does_a_page_no_harm(tmp_path):
    attachment = Attachment("https://x/y", media_type="text/html; charset=" + "x" * 99_999)
    file = staged_file(tmp_path, "a.html", b"<!doctype html><p>words")
    assert (await text_of(replace(file, attachment=attachment), 100)).head.strip() == "words"


async def test_bytes_that_are_no_text_say_so(tmp_path):
    with pytest.raises(UnreadableError, match="octet-stream is not text"):
        await text_of(staged_file(tmp_path, "a.bin", bytes(range(256)) * 9, media_type="application/octet-stream"), 100)


async def test_without_the_detector_a_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("staging.llm.extract.is_there", lambda module: module != "charset_normalizer")
    with pytest.raises(UnreadableError, match=r"not declared; reading it needs: .*\[text\]'"):
        await text_of(staged_file(tmp_path, "a.txt", RUSSIAN.encode("cp1251")), 100)


def test_a_guess_says_that_it_is_one():
    assert detect("Müller".encode("cp1252")).remark == "decoded as windows-1252, which is a guess"
    assert "guess" not in detect((POLISH * 5).encode("cp1250")).remark


SHORT = {  # few letters above ASCII, in which a detector that counts sees anything
    "cp1252": [
        "25°C", "Temp 37 °C today\n", "Café", "naïve approach\n", "Größe: 5 m²", "Price: £5\n", "Ça va?", "São Paulo",
        "100 µm", "±5 %", "§ 5 Abs. 2", "© 2024 ACME Inc.", "Müller;Köln;5 €\n", "¿Qué tal?", "¡Hola!", "l’été",
        "It’s fine\n", "“Quoted” text — dash", "The user’s guide… “draft”\n", "name,city\nJosé,Málaga\n",
        "Øystein Sørensen", "smörgåsbord", "½ cup sugar", "3 × 4 = 12", "10 € – 20 €",
        "• item one\n• item two\n", "RÉSUMÉ", "DÉJÀ VU", "100\xa0000\xa0€\n",
        "Perché non è più così?", "Non è una lista", "Cette fenêtre n'existe plus", "Còpia de seguretat", "Zoë",
        "é", "We don’t expect changes.\n" * 200, "7;cable;5,00 €\n" * 100, "7,cable,£5.00\n" * 100,
    ],
    "cp1250": [
        "Zażółć gęślą jaźń", "Łódź", "Dziękuję, do zobaczenia później", "Příliš žluťoučký kůň",
        "árvíztűrő tükörfúrógép", "cena: 25 zł", "Dodano słowo do pliku", "Nie mogłem wczytać danych",
        "Nelze číst soubor", "Ďakujem veľmi pekne", "neznáma voľba",
    ],
    "cp1251": ["Привет", "Москва", "Да", "Цена: 5 руб.", "ЗАКАЗ: Чай", "Добрий день", "имя,город\nИван,Москва\n"],
    "koi8_r": ["Привет, как дела?", "Спасибо большое"],
    "cp866": ["Привет, как дела?", "ИТОГО: 1500.00\n"],
    "cp1253": ["Γειά σου", "Αθήνα", "ευχαριστώ πολύ"],
    "cp1254": ["Teşekkür ederim", "Günaydın, nasılsınız?", "iletişim", "bugün çok güneşli, değil mi"],
    "cp1255": ["שלום", "תודה רבה", "שלום עולם", "מה שלומך היום?"],
    "cp1256": ["مرحبا", "كيف حالك اليوم"],
    "cp1257": ["Labas rytas, kaip gyvenate šiandien, ačiū"],
    "cp874": ["สวัสดี", "ขอบคุณครับ"],
    "cp932": ["こんにちは", "東京", "請求書2024", "名前,住所\n田中,東京\n"],
    "euc_jp": ["日本語", "会議の資料"],
    "gb18030": ["你好", "北京", "文件", "发票2024", "价格：5元"],
    "big5": ["台灣", "會議記錄", "錯誤"],
    "cp949": ["한국", "잘못된 파일", "감사합니다", "이름,도시\n김철수,서울\n"],
}  # fmt: skip


@pytest.mark.parametrize(("codec", "text"), [(codec, text) for codec, texts in SHORT.items() for text in texts])
def test_one_letter_in_an_old_encoding_is_enough(codec, text):
    assert told(text.encode(codec)) == text


@pytest.mark.parametrize("before", ["", "a"])
@pytest.mark.parametrize(
    ("codec", "text"),
    [
        ("gb18030", "中文文件测试，"),
        ("cp932", "日本語のファイルです。"),
        ("cp949", "한국어 파일입니다 "),
        ("big5hkscs", "中文檔案測試，"),
    ],
)
def test_a_long_text_of_two_bytes_a_character_is_known_wherever_it_is_cut(codec, text, before):
    """Of a long text, the first bytes are looked at, and they may end within a character."""
    assert detect((before + text * 600).encode(codec)).codec == codec


def test_a_bad_byte_does_not_give_a_text_other_letters():
    text = "文件测试，价格表。\n" * 9
    found = detect(text.encode("gb18030") + b"\xff\n" + text.encode("gb18030"))
    assert (found.codec, found.remark) == ("gb18030", "decoded as gb18030")


def test_an_accent_that_is_a_character_by_itself_breaks_nothing():
    """Of Big5-HKSCS, 0x8862 is a letter and an accent, which has no bytes alone."""
    assert "guess" in detect(b"a \x88\x62 b \x88\x64").remark


@pytest.mark.parametrize("tail", ["日志：服务已经启动\n" * 9, "Übersicht für März, Größe\n"])
def test_a_tail_that_begins_within_a_character_is_utf_8(tail):
    found = decide(io.BytesIO(tail.encode()[1:]))
    assert found is not None
    assert (found.codec, found.remark) == ("utf-8", "")


@pytest.mark.parametrize("text", ["naïve café", "日志", "Grüße, José"])
def test_a_head_that_ends_within_a_character_is_utf_8(text):
    found = decide(io.BytesIO(text.encode()[:-1]))
    assert found is not None
    assert (found.codec, found.remark) == ("utf-8", "")


@pytest.mark.parametrize("text", ["פרוטוקול ישיבה: ביום שני דנים בתקציב.", "שלום לכולם, מחר אין פגישה"])
def test_hebrew_is_not_taken_for_russian(text):
    """Its letters have the places of Russian small ones."""
    assert detect(text.encode("cp1255")).codec == "cp1255"
    assert detect("протокол собрания на понедельник".encode("cp1251")).codec == "cp1251"


@pytest.mark.parametrize("log", [b"line1\r\n\x1b[31merror\x1b[0m\r\n\0\0\x08ok\n", b"a\n\0\0\0b\n", b"ok\0\n\0ok"])
def test_a_log_with_nul_in_it_is_no_utf_16(log):
    assert decide(io.BytesIO(log)).codec == "utf-8"


@pytest.mark.parametrize("size", [20, 200])
def test_noise_has_no_encoding(size):
    assert detect(bytes(number * 89 % 128 + 128 for number in range(size))) == UNKNOWN


LINE = b"2026-03-01 09:00:00 INFO service started on port 8080\n"


@pytest.mark.parametrize(
    "content",
    [
        b"\0" * 64 + LINE * 50,
        LINE * 2 + b"name=\0x\n" + LINE * 50,
        LINE * 20 + b"\0" * 30,
        b"10%\b\b\b20%\n" + LINE * 20,
        b"8=FIX.4.2\x019=65\x0135=A\x01\n" * 30,
        b"a\x1fb\x1ec\x1fd\x1e" * 30,
        LINE * 20 + b"\x1a",
        b"done\x07\n" + LINE * 5,
        b"abc\x7fdef\n" * 5,
        b"a\x0bb\n" * 20,
        "Directory: C:\\Logs\r\n".encode("utf-16-le") * 20,
        RUSSIAN.encode("utf-16-be") * 9,
    ],
)
def test_a_few_control_bytes_make_no_binary(content):
    assert looks_like_text(io.BytesIO(content))


@pytest.mark.parametrize(
    "content", [bytes(range(256)) * 9, b"MZ" + bytes(90), b"bplist00" + bytes(40), b"\x89P\0\1\2\3\4\5" * 99]
)
def test_a_binary_file_is_one(content):
    assert not looks_like_text(io.BytesIO(content))


@pytest.mark.parametrize(
    ("text", "clean", "remark"),
    [
        ("a\0b", "ab", "1 NUL taken out"),
        ("\x1b[31mERR\x1b[0m \x1b]0;title\x07x", "ERR x", "3 terminal sequences taken out"),
        ("10%\b\b\b20%\n", "20%\n", "3 overstruck characters taken out"),
        ("9=65\x0135=A", "9=65␁35=A", "1 control character shown as pictures"),
        ("a\r\nb\rc\x0bd\u2028e\x0cf\x85g", "a\nb\nc\nd\ne\nf\ng", ""),
        ("x\U000e0041\U000e0042y", "xy", "2 invisible tag characters taken out"),
        ("a\u202eb\u2066c\u200fd", "abcd", "3 invisible bidi controls taken out"),
        ("a\u200bb\u2060c\ufeffd", "abcd", "3 zero-width characters taken out"),
        ("a\ufe00\ufe01\ufe02b", "ab", "3 zero-width characters taken out"),
        ("👩\u200d💻 ❤\ufe0f 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", None, ""),
        ("می\u200cخواهم", None, ""),
        ("a\ud800b", "a\ufffdb", ""),
        ("done\x07", "done", "1 control character taken out"),
    ],
)
def test_what_no_reader_sees_is_taken_out_and_counted(text, clean, remark):
    cleaner = Cleaner()
    assert (cleaner.feed(text) + cleaner.close(), cleaner.remark()) == (text if clean is None else clean, remark)


@pytest.mark.parametrize("at", range(12))
def test_a_sequence_across_two_pieces_is_one(at):
    text = "ab\x1b[1;31mc\r\nd"
    cleaner = Cleaner()
    assert cleaner.feed(text[:at]) + cleaner.feed(text[at:]) + cleaner.close() == "abc\nd"


def cleaned(*pieces: str) -> tuple[str, dict[str, int]]:
    cleaner = Cleaner()
    text = "".join(map(cleaner.feed, pieces)) + cleaner.close()
    return text, {what: n for what, n in cleaner.counts.items() if n}


SIGNS = st.lists(
    st.sampled_from([
        *"ab\n\r\b\0\x1a\x1b]\\\x07;m[\x85\u00ad\u200b\u200c\u200d\u202e\ufeff\ufe00\ufe0f\ud800می❤👩🏴",
        "\U000e0067", "\U000e007f", "\U000e0100", "\x1b[31m", "\x1b]0;t\x1b\\", "👩\u200d💻", "می\u200cخ", "\b" * 9,
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    ]),
    max_size=40,
).map("".join)  # fmt: skip


@given(SIGNS, st.lists(st.integers(0, 60), max_size=5))
def test_it_does_not_matter_where_a_text_is_cut(text, cuts):
    places = [0, *sorted(cuts), len(text)]
    assert cleaned(*(text[a:b] for a, b in pairwise(places))) == cleaned(*text) == cleaned(text)


@pytest.mark.parametrize("many", ["\u200b", "\b", "\x1b", "a\b", "🏴", "\x1b]", "\x1a", "\U000e0067"])
def test_little_is_held_back_of_what_never_ends(many):
    cleaner = Cleaner()
    for _ in range(9):
        cleaner.feed(many * 5000)
    before = sum(cleaner.counts.values())
    assert len(cleaner.close()) + sum(cleaner.counts.values()) - before < 9000


async def test_a_joiner_at_the_end_of_a_piece_is_kept(tmp_path):
    text = "a" * (65_536 - 4) + "می\u200cخواهم\n"
    prompt = await llm.prompt(stage_of(tmp_path, ("a.txt", text.encode())), max_chars=200_000)
    assert "می\u200cخواهم" in prompt
    assert "taken out" not in prompt


async def test_the_heading_counts_what_was_taken_out(tmp_path):
    prompt = await llm.prompt(stage_of(tmp_path, ("a.txt", "so\u200bnes \U000e0041".encode())))
    assert "(1 zero-width character, 1 invisible tag character taken out):]\n```text\nsones \n```" in prompt


# Source, and where a long text is cut


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("README.md", b'<h1 align="center">tool</h1>\n\n    indented\n'),
        ("Counter.vue", b"<script setup>\nlet n = 1\n</script>\n"),
        ("page.php", b"<html>\n<?php echo $total; ?>\n</html>\n"),
        ("chat.txt", b"<a> hello\n<bob> no\n"),
        ("list.erb", b"<div>\n<% @items.each do |i| %>\n</div>\n"),
        ("part.html", b"<div>\n  <b>no page</b>\n</div>\n"),
        ("page.md", b"<!doctype html>\n<html>\n<p>told about, not rendered\n"),
        ("note.xml", b"<note>\n  <to>you</to>\n</note>\n"),
    ],
)
async def test_source_is_shown_as_source(name, content, tmp_path):
    assert (await text_of(staged_file(tmp_path, name, content), 1000)).head == content.decode()


def test_a_gap_falls_between_lines_and_between_rows():
    text = "".join(f"line {n}\n" for n in range(100))
    shown = Excerpt(text[:333], text[-333:], len(text)).at_lines()
    assert shown.head.endswith("\n")
    assert shown.tail.startswith("line ")
    rows = "".join(f'{n},"two\nlines"\n' for n in range(100))
    for end in range(300, 330):
        cut = Excerpt(rows[:end], rows[-end:], len(rows), rows=True).at_lines()
        assert cut.head.endswith('lines"\n')
        assert cut.tail[:2].isdigit()


def test_a_text_of_one_line_is_still_shown():
    assert Excerpt("x" * 90, "y" * 90, 1000).at_lines() == Excerpt("x" * 90, "y" * 90, 1000)
