"""Pages, PDFs, mails, books, notebooks, archives and old documents, each as its reader would see it."""

# ruff: noqa: E501  # a page's markup is read best where it is not broken up

import base64
import datetime as dt
import email.message
import gzip
import io
import json
import struct
import tarfile
import time
import types
import zlib

import pytest
from llm_stage import WORD, docx, epub, pdf, pdf_of, stage_of, zipped
from reading import reading

from staging import llm
from staging.llm._converter import old_slides, old_word, ole, outlook, output
from staging.llm._converter.xhtml import as_html, is_xhtml

pytestmark = pytest.mark.usefixtures("shared_converters")

OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def page(body: str, head: str = "") -> bytes:
    return f"<!DOCTYPE html><html><head>{head}</head><body>{body}</body></html>".encode()


PAGES = {
    "words": ("<p>Hello  <b>you</b></p>", "Hello you", ""),
    "link": ('<a href="https://x/y">terms</a> and <a href="#top">up</a>', "[terms](https://x/y) and up", ""),
    "link around blocks": ('<a href="/x"><h2>News</h2><p>of today</p></a>', "## [News](/x)\n\nof today", ""),
    "links around blocks": ('see <a href="/x"><img><div>one</div><p>two</p></a><p>three</p><a href="/y"><table><tr><td>a<td>b</table></a><ul><li><a href="/z"><p>c</p></a></ul>',
                            "see\n\n[one](/x)\n\ntwo\n\nthree\n\n| [a](/y) | b |\n| --- | --- |\n\n- [c](/z)", "1 picture not shown"),
    "picture": ('<img alt="floor plan"><img>', "![floor plan]", "2 pictures not shown"),
    "table": ("<table><tr><th>A<th>B<tr><td>1<td>2|3</table>", "| A | B |\n| --- | --- |\n| 1 | 2\\|3 |", ""),
    "cells over rows": (
        "<table><tr><td rowspan=2>a<td>b<td rowspan=9>c<tr><td>d<tr><td colspan=2>e</table>",
        "| a | b | c |\n| --- | --- | --- |\n|  | d |  |\n| e |  |  |",
        "",
    ),
    "closed dialog": ("<dialog>later</dialog><dialog open>now</dialog>", "now", "5 characters of hidden text left out"),
    "ruby": ("<ruby>漢<rt>kan</rt></ruby>", "漢(kan)", ""),
    "terms, then a list": ("<dl><dt>T<dd>D</dl><ul><li>one</ul><blockquote>q</blockquote>a", "T\n\n: D\n\n- one\n\n> q\n\na", ""),
    "table for layout": ("<table><tr><td><h1>T</h1><table><tr><td>a<td>b</table></table>", "# T\n\n| a | b |\n| --- | --- |", ""),
    "tables in tables without end": ("<table><tr><td>x<table><tr><td>a<td>b</table>" + "<table><tr><td>" * 3000 + "deep" + "<tr><td>row</table>" * 3000 + "<table><tr><td>c<td>d</table></table>end",
                                     "x\n\n| a | b |\n| --- | --- |\n\ndeep\n\n" + "row\n\n" * 3000 + "| c | d |\n| --- | --- |\n\nend", ""),
    "lists": ("<ol start=3><li>one<ul><li>in</ul><li>two</ol>", "3. one\n  - in\n4. two", ""),
    "numbers of entries": ("<ol><li>x<li value=7>y<li>z</ol><ol reversed><li>c<li>b</ol><ol reversed start=2><li>c<li>b</ol><ol start=0><li>n</ol><ol type=a start=2><li>m<ol type=I><li>k</ol></ol>",
                           "1. x\n7. y\n8. z\n\n2. c\n1. b\n\n2. c\n1. b\n\n0. n\n\nb. m\n  I. k", ""),
    "numbers that are none": (f"<ol start=--5><li>x<li value={'9' * 5000}>y<li value=x>z</ol><table><tr><td colspan={'9' * 5000}>c</table>",
                              "1. x\n999999999. y\n1000000000. z\n\n| c |" + "  |" * 49 + "\n|" + " --- |" * 50, ""),
    "empty entries": ("<ul><li></ul>a<ol><li><table><tr><td>b</table></ol>c<dl><dd></dl>d", "a\n\nb\n\nc\n\nd", ""),
    "foot of a table": ("<table><thead><tr><th>A<th>B</thead><tfoot><tr><td>sum<td>3</tfoot><tbody><tr><td rowspan=9>a<td>1<tbody><tr><td>b<td>2</tbody></table>",
                        "| A | B |\n| --- | --- |\n| a | 1 |\n| b | 2 |\n| sum | 3 |", ""),
    "form": ('<input value="Ann"><textarea>typed</textarea><select><option>A<option selected>B</select><input type=checkbox checked> yes <input type=password value=x><input type=hidden value=y>',
             "[Ann] [typed] [B] ☒ yes", "0"),
    "formula": ("<p>Area <math><msup><mi>x</mi><mn>2</mn></msup></math></p>", "Area $x^{2}$", ""),
    "signs of a formula": (f"<math><mi>x&lt;y&amp;lt;&amp;#{'9' * 5000};</mi></math>", f"$x<y&lt;&#{'9' * 5000};$", ""),
    "code": ("<pre>if x:\n    y()\n</pre>", "```\nif x:\n    y()\n```", ""),
    "svg": ("<svg><text>12 M</text></svg>", "12 M", ""),
    "quotation": ("<blockquote><p>said</p></blockquote>", "> said", ""),
    "noscript": ("<noscript><p>article</p></noscript>", "article", ""),
    "entities": ("a&nbsp;&amp;&nbsp;b<br>c &lt;d&gt;", "a & b\nc <d>", ""),
    "hidden": ('<p>In</p><p style="display:none">obey</p><p hidden>obey</p><p style="font-size:0px">obey</p><p style="color:#fff;background:#fff">obey</p>',
               "In", "16 characters of hidden text left out"),
    "wrapper without size": ('<td style="font-size:0px"><div style="FONT-SIZE: 0"><p>obey</p><p style="font-size:13px;line-height:1">Invoice 4711</p></div></td>',
                             "Invoice 4711", "4 characters of hidden text left out"),
    "sizes of their own": ('<div style="font:0/0 a">xy<p style="font:bold 12pt/1.5 Arial">a</p><p style="font-size:small">b</p><p><font size=2>c</font></p><img alt=d><button>e</button></div>f',
                           "a\n\nb\n\nc\n\n![d] e\n\nf", "2 characters of hidden text left out; 1 picture not shown"),
    "no size to multiply": ('<div style="font-size:.0em"><p style="font-size:1em">obey</p><p style="font-size:120%">obey</p></div>a',
                            "a", "8 characters of hidden text left out"),
    "colour of its own": ('<div style="color:#fff;background:#FFF">obey<p style="color:#000">a</p><b>obey</b></div>',
                          "a", "8 characters of hidden text left out"),
    "centred page": ('<div style="position:absolute;left:50%;margin-left:-480px;width:960px"><p>Centred</p></div><p style="margin-top:-1200px">Hero</p><p style="margin-left:-100%">aside</p>',
                     "Centred\n\nHero\n\naside", ""),
    "beside the screen": ('<p style="position:absolute;left:-9999px">obey</p><p style="text-indent: -999em">obey</p><p style="top:-1000px!important">obey</p>a',
                          "a", "12 characters of hidden text left out"),
    "hidden in Word alone": ('<a href="https://x/y" style="background:#000;color:#fff;mso-hide:all">Pay</a> <span style="color:inherit;background-color:inherit">now</span>',
                             "[Pay](https://x/y) now", ""),
    "what only sounds hidden": ('<style>.c{backface-visibility:hidden}</style><p class="c" style="-webkit-backface-visibility:hidden;line-height:0;fill-opacity:0">a</p>',
                                "a", ""),
    "data": ('<p>a</p><script type="application/json">{"b": 1}</script>', "a", "1 script of data left out"),
    "unclosed script": ("<p>before</p><script>var a = 1;<p>after</p>", "before", ""),
    "inserted and struck": ("<p>was <del>3</del> <ins>4</ins></p>", "was ~~3~~ 4", ""),
}  # fmt: skip


@pytest.mark.parametrize("what", PAGES)
def test_a_page_is_what_its_reader_sees(what):
    body, text, remarks = PAGES[what]
    found = reading("html", page(body))
    assert found.text == text
    assert found.remarks == remarks or (remarks == "0" and "hidden" not in found.remarks)


def test_what_a_pages_style_sheet_hides_is_hidden():
    head = "<title>T &amp; U</title><style>.off, #gone { color: red; display: none } @media print { .on { display: none } }</style>"
    found = reading("html", page('<p class="on">a</p><p class="x off">b</p><p id="gone">c</p>', head))
    assert (found.text, found.remarks) == ("[title: T & U]\n\na", "2 characters of hidden text left out")


EMPTY = {
    "a title": ("<title/>", "", ""),
    "a title with white space": ("<title\n/>", "", ""),
    "scripts": ('<script src="a.js"/><SCRIPT type="text/javascript" src=\'b/>c.js\' />', "", ""),
    "a style sheet": ('<style type="text/css"/>', "", ""),
    "a template": ("<template/>", "", ""),
    "a frame": ("", '<iframe src="/map"/>', "[frame: /map]"),
    "a field": ("", "<textarea/>", ""),
    "a list and a table": ("", "<ul/><table/><select/>", ""),
    "a target of links": ("", '<a id="p1" title="a > b"/>', ""),
    "a heading": ("", "<h2/><em/><pre/>", ""),
    "a script that writes tags": ('<script>document.write("<script/>")</script>', "", ""),
    "a comment and tags that are none": ("<!-- <title/> <style/> -->", "a &lt;title/> b", "a <title/> b"),
    "an attribute": ("", '<img alt="<title/>"/>', "![<title/>]"),
    "void elements": ('<meta charset="utf-8"/><link rel="x"/>', "a<br/>b<hr/>", "a\nb"),
    "a drawing": ("", '<svg><path d="M0"/><text>12 M</text></svg>', "12 M"),
}  # fmt: skip
XHTML = '<html xmlns="http://www.w3.org/1999/xhtml">'


@pytest.mark.parametrize("what", EMPTY)
@pytest.mark.parametrize(
    "start", [XHTML, '<?xml version="1.0" encoding="utf-8"?>\n<html>', "<!DOCTYPE html>" + XHTML[:-1] + " lang='en'>"]
)
def test_an_empty_element_of_xhtml_has_no_content(what, start):
    head, body, text = EMPTY[what]
    content = f"{start}<head>{head}</head><body>{body}<p>Chapter</p></body></html>".encode()
    assert reading("html", content).text == f"{text}\n\nChapter".strip()


@pytest.mark.parametrize("what", EMPTY)
@pytest.mark.parametrize("start", ["<html>", XHTML])
def test_an_empty_element_takes_no_chapter_of_a_book(what, start):
    head, body, text = EMPTY[what]
    chapter = f"{start}<head>{head}</head><body>{body}<p>Chapter</p></body></html>"
    assert reading("ebook", epub(chapter)).text == f"{text}\n\nChapter".strip()


async def test_a_file_of_xhtml_is_shown_whole(tmp_path):
    prompt = await llm.prompt(
        stage_of(tmp_path, ("c.xhtml", f"{XHTML}<head><title/></head><p>Chapter</p></html>".encode()))
    )
    assert "(a page as Markdown)" in prompt
    assert "Chapter" in prompt


def test_a_page_that_is_no_xhtml_is_read_as_browsers_do():
    assert reading("html", page("<p>a</p><div hidden/><p>b</p>")).text == "a"
    assert reading("html", f"{XHTML}<p><a href=/x/>terms</a>".encode()).text == "[terms](/x/)"


@pytest.mark.parametrize(
    "many", ["<a ", "<a b='", '<a b="<', "<a =", "<!--", "<![CDATA[", "<script>", "<html xmlns ", "<a/", "<"]
)
def test_xhtml_that_never_ends_takes_no_time(many):
    started = time.process_time()
    as_html(many * 100_000)
    is_xhtml(many * 100_000)
    assert time.process_time() - started < 2


# PDF


def annotated(annotation: bytes, form: bytes = b"") -> bytes:
    content = b"BT /F1 12 Tf 50 700 Td (Surname and more words) Tj ET"
    return pdf_of([
        b"<</Type/Catalog/Pages 2 0 R" + form + b">>", b"<</Type/Pages/Count 1/Kids[4 0 R]>>", b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 5 0 R/Annots[6 0 R]/Resources<</Font<</F1 3 0 R>>>>>>",
        b"<</Length %d>>stream\n%b\nendstream" % (len(content), content), annotation,
    ])  # fmt: skip


FORM = b"/AcroForm<</Fields[6 0 R]>>"
RECT = b"/Type/Annot/Rect[50 600 300 620]"
ANNOTATIONS = {
    "text field": (
        b"<<" + RECT + b"/Subtype/Widget/FT/Tx/T(surname)/V(Featherstone)>>",
        "[form field surname: Featherstone]",
    ),
    "check box": (b"<<" + RECT + b"/Subtype/Widget/FT/Btn/T(married)/V/Yes/AS/Yes>>", "[check box married: ☒ Yes]"),
    "empty check box": (b"<<" + RECT + b"/Subtype/Widget/FT/Btn/T(married)/V/Off/AS/Off>>", "[check box married: ☐]"),
    "note": (b"<<" + RECT + b"/Subtype/Text/T(Rita)/Contents(strike this)>>", "[note by Rita: strike this]"),
}


@pytest.mark.parametrize("what", ANNOTATIONS)
def test_what_was_put_on_a_pdf_page_is_read(what):
    annotation, text = ANNOTATIONS[what]
    found = reading("pdf", annotated(annotation, FORM if "Widget" in annotation.decode() else b""))
    assert found.text == f"[page 1]\nSurname and more words\n{text}"


def test_a_hyphen_at_a_lines_end_is_kept_where_a_digit_or_a_capital_follows():
    """There it is part of a name; a word that goes on in small letters was parted."""
    lines = (
        "The vaccine against COVID-",
        "19 and pilots of F-",
        "16, Lake M\xfcller-",
        "\xd6sch or E-",
        "Mail, was well-",
        "known in 2019-",
        "20.",
    )
    content = (
        b"BT /F1 12 Tf 14 TL 50 700 Td " + b"".join(b"(%b) Tj T* " % line.encode("latin-1") for line in lines) + b"ET"
    )
    found = reading("pdf", pdf(contents=[b"<</Length %d>>stream\n%b\nendstream" % (len(content), content)]))
    shown = (
        "The vaccine against COVID-19 and pilots of F-16, Lake M\xfcller-\xd6sch or E-Mail, was wellknown in 2019-\n20."
    )
    assert found.text == f"[page 1]\n{shown}"


def test_pages_without_text_are_named():
    found = reading("pdf", pdf("Alpha page with words", "", "Gamma page with words", ""))
    assert "[page 2]\n[no text: it may be a scan]" in found.text
    assert found.remarks == "4 pages; 2 of them without text: 2, 4"


def test_a_pdf_that_costs_too_much_is_shown_as_far_as_it_was_read(monkeypatch):
    """Reading it is over before the kernel ends it, and the missing pages are named."""
    clock = types.SimpleNamespace(process_time=iter(range(100)).__next__)  # a second for each page
    monkeypatch.setattr(output, "time", clock)
    found = reading("pdf", pdf(*(f"Page {number} with words" for number in range(1, 21))))
    assert found.refusal == ""
    assert "Page 6 with words" in found.text
    assert "Page 7 with words" not in found.text
    assert found.text.endswith("[… the rest was not read, after 7 seconds of processor time …]\n")
    assert found.remarks == "20 pages; page 7 to page 20 were not read to their end"


@pytest.mark.parametrize("content", [b"%PDF-1.7\n", b"%PDF-1.7\n" + bytes(3000), pdf("x")[:-300], b"<html>"])
def test_a_damaged_pdf_says_so(content):
    assert reading("pdf", content).refusal == "it is damaged or of a kind that cannot be read"


# Mails


def mail(body: str, **options) -> email.message.EmailMessage:
    message = email.message.EmailMessage()
    message["Subject"], message["From"], message["To"] = "Grüße 4711", "a@example.com", "b@example.com"
    message.set_content(body, **options)
    return message


def test_a_mail_has_heads_text_and_a_list_of_what_is_attached():
    message = mail("Please confirm by Friday, Müller.\n", cte="base64", charset="iso-8859-1")
    message.add_alternative("<p>Please confirm</p>", subtype="html")
    message.add_attachment(b"%PDF" * 100, maintype="application", subtype="pdf", filename="Überweisung.pdf")
    found = reading("mail", message.as_bytes())
    assert found.text == (
        "From: a@example.com\nTo: b@example.com\nSubject: Grüße 4711\n\nPlease confirm by Friday, Müller.\n\n"
        "[attached:]\n- Überweisung.pdf (application/pdf, 400 bytes)"
    )
    assert found.remarks == "1 attached file not shown"


def test_a_mail_of_a_page_alone_is_rendered_and_a_forwarded_one_is_shown():
    message = mail("see below\n")
    inner = mail("<h1>News</h1><p>words</p>", subtype="html")
    message.add_attachment(inner, filename="news.eml")
    text = reading("mail", message.as_bytes()).text
    assert "[forwarded mail news.eml:]\nFrom: a@example.com" in text
    assert "# News\n\nwords" in text


def test_a_long_style_sheet_is_looked_through_at_once():
    """An expression for whole rules took more than seven seconds for what news sites send."""
    rules = "".join(f"/* {{ */ .a{n} .b{n}, #c{n} > .d-e.f{n} .g{n} h{n}" for n in range(2000))
    used = time.process_time()
    page = f"<html><style>{rules} {{x}} @import url(x); #z, .off {{ display: none }}</style><p>shown<p class=off>gone<p id=z>gone"
    assert reading("html", b"<!doctype html>" + page.encode()).text == "shown"
    assert time.process_time() - used < 2


def test_a_mail_without_a_charset_is_no_mojibake():
    raw = b"Subject: x\r\nContent-Type: text/plain\r\n\r\n" + ("Протокол собрания отдела продаж\n" * 5).encode("koi8_r")
    assert "Протокол собрания отдела продаж" in reading("mail", raw).text


@pytest.mark.parametrize(
    ("field", "name"),
    [
        (b'name="=?utf-8?B?a?="', "=?utf-8?B?a?="),
        (b'name="=?utf-8?Q?r=C3=A9sum=C3=A9.pdf?="', "résumé.pdf"),
        (b'name="=?utf-16?Q?caf=E9_=E8?="', "café è"),
        (b'name="r\xe9sum\xe9.pdf"', "résumé.pdf"),
        ('name="résumé.pdf"'.encode(), "résumé.pdf"),
        (b"name*=iso-8859-1''r%E9sum%E9.pdf", "résumé.pdf"),
        (b"name*0*=utf-8''r%C3%A9su; name*1*=m%C3%A9.pdf", "résumé.pdf"),
        ("name*=utf-8''会议.pdf".encode(), "会议.pdf"),
        *(
            (b"name*=%s''r%%E9sum%%E9.pdf" % charset, "résumé.pdf")
            for charset in (b"idna", b"undefined", b"utf-16", b"\0")
        ),
        (b'name=""', "without a name"),
    ],
)
@pytest.mark.parametrize("disposition", [False, True])
def test_no_name_of_an_attached_file_makes_a_mail_unreadable(field, name, disposition):
    place = (
        b"\r\nContent-Disposition: attachment; " + field.replace(b"name", b"filename") if disposition else b"; " + field
    )
    raw = b"Content-Type: application/pdf" + place + b"\r\n\r\nx"
    assert f"- {name} (application/pdf, 1 bytes)" in reading("mail", raw).text


@pytest.mark.parametrize("charset", ["utf-16", "unicode", "u32", "undefined", "idna", "a\0b"])
def test_a_false_charset_makes_no_mail_unreadable(charset):
    for field in (f"charset={charset}", f"charset*={charset}''x"):
        raw = (
            f"Subject: =?{charset}?Q?caf=E9_=E8?=\r\nContent-Type: text/plain; {field}\r\n\r\n".encode()
            + b"caf\xe9 tr\xe8s"
        )
        found = reading("mail", raw).text
        assert found.endswith("\n\ncafé très")
        assert "\0" in charset or "Subject: café è\n" in found


def mail_part(kind: str, content: str, name: str = "") -> email.message.Message:
    part = email.message.Message()
    part["Content-Type"] = kind
    if name:
        part.add_header("Content-Disposition", "inline", filename=name)
    part.set_payload(content)
    return part


def joined(kind: str, *parts: email.message.Message) -> email.message.Message:
    whole = email.message.Message()
    whole["Content-Type"] = f"multipart/{kind}"
    for part in parts:
        whole.attach(part)
    return whole


SAID = mail_part("text/plain", "what is said " * 10)
PAGE = mail_part("text/html", "<p>" + "what is said " * 10)
CONTRACT = mail_part("application/pdf", "%PDF", "contract.pdf")
PICTURE = mail_part("image/png", "PNG", "logo.png")
INVITATION = mail_part("text/calendar", "BEGIN:VCALENDAR")
NOTES = mail_part("text/plain", "notes", "notes.txt")
ATTACHED = mail_part("text/plain; name=terms.txt", "terms " * 90)
ATTACHED["Content-Disposition"] = "attachment"


@pytest.mark.parametrize(
    ("alternatives", "names"),
    [
        ((SAID, joined("mixed", PAGE, CONTRACT)), ["contract.pdf"]),
        ((SAID, joined("related", PAGE, PICTURE)), ["logo.png"]),
        ((SAID, PAGE, INVITATION), ["without a name"]),
        ((INVITATION, PAGE), ["without a name"]),
        ((mail_part("text/plain", ""), joined("mixed", PAGE, CONTRACT)), ["contract.pdf"]),
        ((SAID, joined("mixed", PAGE, NOTES, joined("alternative", PAGE, CONTRACT), PICTURE)), ["notes.txt", "contract.pdf", "logo.png"]),
        ((joined("related", PAGE, PICTURE), CONTRACT), ["logo.png", "contract.pdf"]),
        ((CONTRACT, PICTURE), ["contract.pdf", "logo.png"]),
        ((ATTACHED, PAGE), ["terms.txt"]),
        ((mail_part("text/plain", "what is said " * 3), joined("mixed", CONTRACT, INVITATION)), ["contract.pdf", "without a name"]),
        ((SAID, PAGE), []),
    ],
)  # fmt: skip
def test_files_in_an_alternative_are_listed_whichever_is_shown(alternatives, names):
    found = reading("mail", joined("alternative", *alternatives).as_bytes())
    text, _, listed = found.text.partition("[attached:]\n")
    assert [line[2:].split(" (")[0] for line in listed.splitlines()] == names
    assert ("what is said" in text) == (alternatives != (CONTRACT, PICTURE))
    assert text.count("what is said") <= 10


STUB = "Your mail program does not show such mails. Please open this one in a browser, or see our web site for details."


@pytest.mark.parametrize(
    ("plain", "rich", "shown"),
    [
        ("Your code is 998877.", "<p>Your <b>code</b> is&nbsp;998877.", ["Your code is 998877."]),
        (f"{STUB}\nhttps://x/y", f"<title>x</title><style>p {{}}</style><!-- no word of it --><p>{STUB} Imprint", [f"{STUB}\nhttps://x/y"]),
        (STUB, "<p>Your code is 998877. It expires in 5 minutes.", [STUB, "Your code is 998877. It expires in 5 minutes."]),
        ("See the page.", "<h1>Flights</h1>" + "<p>Gate A12 to Oslo at nine, seat 4C by the aisle, with one bag.", ["# Flights\n\nGate"]),
        ("Yes, at nine. Ann", "<p>Yes, at nine. Ann<p>" + STUB, ["Yes, at nine. Ann\n\nYour mail"]),
        ("Your code is 998877.", "<p>Trouble with pictures?", ["Your code is 998877.", "Trouble with pictures?"]),
        ("Wonderful news: it is 998877.", "<p>W<b>on</b>der<span>ful</span> ne&shy;ws: i<i>t</i> is 998877.", ["Wonderful"]),
        ("Thank you for the order of a bicycle.", "<p>Thank you for the order of a bicycle.<p>Code: 998877", ["Thank"]),
        ("", "<p>Only here", ["Only here"]),
        ("Only here", "<p> </p>", ["Only here"]),
        ("会議は月曜日の\n十時に始まります。", "<p>会議は月曜日の十時に<br>始まります。", ["会議は月曜日の\n十時に始まります。"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("within", [False, True])
def test_a_mail_shows_each_of_its_forms_that_says_what_no_other_does(plain, rich, shown, within):
    said, html = (
        mail_part(f"{kind}; charset=utf-8", words.encode().decode("ascii", "surrogateescape"))
        for kind, words in (("text/plain", plain), ("text/html", rich))
    )
    forms = said, joined("related", html, PICTURE) if within else html
    text = reading("mail", joined("alternative", *forms).as_bytes()).text.partition("\n[attached")[0]
    places = [text.find(words) for words in shown]
    assert places == sorted(places)
    assert places[0] == 0
    assert ("998877" in plain + rich) == (text.count("998877") == 1)


@pytest.mark.parametrize("many", ["<style", "<STYLE>", "<", "<!--", "</style", "<b ", "&#", "&#9"])
def test_a_mail_with_a_page_of_tags_that_never_end_is_read(many):
    forms = mail_part("text/plain", STUB), mail_part("text/html", many * 10_000 + "9" * 5_000)
    assert reading("mail", joined("alternative", *forms).as_bytes()).text.startswith(STUB)


def test_a_mail_in_an_alternative_that_is_not_shown_is_forwarded_all_the_same():
    within = mail_part("message/rfc822", "")
    within.set_payload([mail("the mail within\n")])
    for message in (
        joined("alternative", SAID, joined("mixed", PAGE, within)),
        joined("alternative", mail_part("text/plain", "what is said"), within),
    ):
        text = reading("mail", message.as_bytes()).text
        assert text.startswith("what is said")
        assert "[forwarded mail:]\nFrom: a@example.com" in text
        assert text.endswith("the mail within")


@pytest.mark.parametrize("kind", ["mixed", "alternative", "related", "mixed; boundary=other", "signed; boundary="])
@pytest.mark.parametrize("words", ["what is said", "--x\n\nwhat is said", "grüße"])
def test_a_mail_of_parts_without_its_boundary_is_one_text(kind, words):
    head = f"Subject: x\nContent-Type: multipart/{kind}\n"
    found = reading("mail", f"{head}\n{words}\n".encode())
    assert (found.text, found.remarks) == (f"Subject: x\n\n{words}", "")
    coded = base64.b64encode(words.encode()).decode()
    assert reading("mail", f"{head}Content-Transfer-Encoding: base64\n\n{coded}".encode()).text == found.text
    within = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n" + f"{head}\n{words}\n--b\n".encode()
    within += CONTRACT.as_bytes() + b"\n--b--\n"
    assert reading("mail", within).text == f"{words}\n\n[attached:]\n- contract.pdf (application/pdf, 4 bytes)"


def test_mails_within_mails_end():
    raw = b"Content-Type: message/rfc822\r\n\r\n" * 5000 + b"Subject: x\r\n\r\nend"
    assert reading("mail", raw).refusal == "it is nested too deeply"


LEAVES_OUT = (
    '<p>seen<p hidden>obey</p><img><script type="text/json">1</script>'
    "<iframe srcdoc='<p hidden>obey</p><img>inside'></iframe>"
)


def test_what_of_a_page_is_left_out_is_told_wherever_it_stands(streams):
    """A mail, a book and a document count it over all their parts."""
    part = mail_part("text/html", LEAVES_OUT)
    streams["__substg1.0_10130102"] = page(LEAVES_OUT * 2)
    book = {"mimetype": "application/epub+zip", "a.xhtml": page(LEAVES_OUT), "b.xhtml": page(LEAVES_OUT)}
    relation = '<Relationship Id="r" Target="a.html"/>'
    chunk = f'<w:altChunk xmlns:r="{OFFICE}" r:id="r"/>'
    document = {"word/document.xml": f'<w:document xmlns:w="{WORD}"><w:body>{chunk * 2}</w:body></w:document>',
                "word/_rels/document.xml.rels": f"<Relationships>{relation}</Relationships>", "word/a.html": page(LEAVES_OUT)}  # fmt: skip
    for task, content in (
        ("html", page(LEAVES_OUT * 2)), ("mail", joined("mixed", part, part).as_bytes()), ("outlook", b""),
        ("ebook", zipped(book)), ("docx", zipped(document)),
    ):  # fmt: skip
        found = reading(task, content)
        assert found.text.count("seen") == found.text.count("inside") == 2
        assert found.remarks.removeprefix("2 parts; ") == (
            "16 characters of hidden text left out; 2 scripts of data left out; 4 pictures not shown"
        )


# Books, notebooks, archives


def test_a_book_is_read_in_its_order():
    package = (
        '<package xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>Book</dc:title></metadata><manifest><item id="b" href="b.xhtml"/>'
        '<item id="a" href="a%20x.xhtml"/></manifest><spine><itemref idref="b"/><itemref idref="a"/></spine></package>'
    )
    parts = {
        "mimetype": "application/epub+zip", "OEBPS/b.xhtml": "<html><h1>First</h1></html>", "OEBPS/a x.xhtml": "<html><p>Second</p></html>",
        "META-INF/container.xml": '<container><rootfile full-path="OEBPS/content.opf"/></container>', "OEBPS/content.opf": package,
    }  # fmt: skip
    found = reading("ebook", zipped(parts))
    assert (found.text, found.remarks) == ("[title: Book]\n\n# First\n\nSecond", "2 parts")
    locked = '<encryption><CipherReference URI="OEBPS/b.xhtml"/></encryption>'
    assert (
        reading("ebook", zipped({**parts, "META-INF/encryption.xml": locked})).refusal
        == "it is encrypted (password-protected)"
    )


@pytest.mark.parametrize(
    "external",
    ['PUBLIC "+//ISBN 0-9673008-1-9//DTD OEB 1.2 Package//EN" "http://openebook.org/dtds/oeb-1.2/oebpkg12.dtd"', 'SYSTEM "a.dtd"', ""],
)  # fmt: skip
def test_a_book_may_name_its_document_type(external):
    """Old packages do (OEB 1.2, 1.3). It declares entities only with a part of its own."""
    package = '<package><manifest><item id="a" href="a.xhtml"/></manifest><spine><itemref idref="a"/></spine></package>'
    parts = {
        "mimetype": "application/epub+zip", "META-INF/container.xml": '<container><rootfile full-path="a.opf"/></container>',
        "a.xhtml": "<html><p>words</p></html>", "a.opf": f"<!DOCTYPE package {external}>{package}",
    }  # fmt: skip
    assert reading("ebook", zipped(parts)).text == "words"
    parts["a.opf"] = f'<!DOCTYPE package {external} [<!ENTITY a "b">]>{package}'
    assert reading("ebook", zipped(parts)).refusal == "it declares a document type or entities"


def test_a_notebook_is_its_cells_without_pictures():
    output = {
        "output_type": "display_data",
        "data": {"image/png": base64.b64encode(bytes(9999)).decode(), "text/plain": "<Figure>"},
    }
    stream = {"output_type": "stream", "text": ["done\n"]}
    cells = [
        {"cell_type": "code", "source": ["plot(df)\n"], "execution_count": 1, "outputs": [output, stream]},
        {"cell_type": "markdown", "source": "The **conclusion**"},
    ]
    found = reading("notebook", json.dumps({"nbformat": 4, "cells": cells}).encode())
    assert found.text == "[1]\n```python\nplot(df)\n```\n\n[picture]\n\n```text\ndone\n```\n\nThe **conclusion**"
    assert found.remarks == "2 cells; 1 picture not shown"


@pytest.mark.parametrize(
    "content", [b"{}", b"[]", b"[" * 100_000, b'{"cells": [1, null, {"cell_type": "code", "outputs": 3}]}', b"\xff"]
)
def test_a_strange_notebook_breaks_nothing(content):
    assert reading("notebook", content).refusal in {
        "",
        "it is damaged or of a kind that cannot be read",
        "there is no text in it",
    }


def tarred(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (zipped({"src/a.py": "a=1", "b.txt": "xy"}), "src/a.py (3 bytes)\nb.txt (2 bytes)"),
        (tarred("src/a.py", b"a=1"), "src/a.py (3 bytes)"),
        (gzip.compress("Größe\n".encode("cp1252") * 9), "\n".join(["Größe"] * 9)),
        (zipped({"x\ny.txt": "1"}), "x y.txt (1 bytes)"),
    ],
    ids=["zip", "tar", "text", "line break in a name"],
)
def test_an_archive_is_the_list_of_its_members(content, text):
    assert reading("archive", content).text == text


def named(*names: bytes, extra: bytes = b"", flags: int = 0) -> bytes:
    """Return a zip whose members have these names, whatever their flag says."""
    content, places = b"", b""
    for name in names:
        facts = struct.pack("<3H2HI2I2H", 20, flags, 0, 0, 33, zlib.crc32(b"a"), 1, 1, len(name), len(extra))
        places += b"PK\1\2\x14\0" + facts + struct.pack("<3H2I", 0, 0, 0, 0, len(content)) + name + extra
        content += b"PK\3\4" + facts + name + extra + b"a"
    return (
        content
        + places
        + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, len(names), len(names), len(places), len(content), 0)
    )


@pytest.mark.parametrize(
    ("codec", "names"),
    [
        ("gbk", ["会议记录.txt", "项目进度报告.docx"]), ("cp932", ["見積書.xlsx", "請求書一覧.pdf", "表紙/予定表.docx"]), ("cp866", ["Отчёт.docx", "Протокол.txt"]),
        ("cp850", ["Relação.pdf", "Ação.txt"]), ("cp852", ["Zażółć gęślą.txt", "Łódź.pdf"]), ("cp1252", ["Größe.txt", "Straßenpläne.pdf"]), ("cp437", ["Année été.txt"]),
        ("cp949", ["회의록.hwp", "보고서.docx", "프로젝트 일정.xlsx"]), ("utf-8", ["Größe.txt"]), ("cp437", ["Größe.txt", "Straßenpläne.pdf"]), ("utf-8", ["a.txt", "日本.txt"]),
    ],
)  # fmt: skip
def test_names_in_a_zip_of_another_country_are_decoded(codec, names):
    found = reading("archive", named(*(name.encode(codec) for name in names)))
    assert found.text.splitlines() == [f"{name} (1 bytes)" for name in names]
    assert ("names decoded as" in found.remarks) == (codec != "utf-8")


def test_a_name_in_a_zip_that_is_told_in_utf_8_is_not_guessed():
    raw = "会议.txt".encode("gbk")
    told = b"\1" + struct.pack("<I", zlib.crc32(raw)) + "会议记录.txt".encode()
    extra = b"\x0a\0\2\0xx" + b"up" + struct.pack("<H", len(told)) + told
    found = reading("archive", named(raw, extra=extra))
    assert found.text == "会议记录.txt (1 bytes)"
    assert "decoded" not in found.remarks
    assert reading("archive", named("Größe.txt".encode(), flags=0x800)).text == "Größe.txt (1 bytes)"


def test_names_in_a_zip_that_cannot_be_decoded_are_shown_in_code_page_437():
    found = reading("archive", named(b"\xff\xfe\xdb.txt", b"a\n\xe4\0b.txt", b"b.txt"))
    assert found.text == "■█.txt (1 bytes)\na Σ (1 bytes)\nb.txt (1 bytes)"


def test_a_compressed_text_is_no_list():
    assert reading("archive", gzip.compress(b"one text")).remarks == "the compressed text itself"


@pytest.mark.parametrize("line", ["358998899999999", "1234567", "8", "9" * 2000, "٣٥٨٩٩٨٨٩٩"])
def test_a_compressed_text_of_digits_is_no_tar(line):
    text = "\n".join([line] * 200)
    assert reading("archive", gzip.compress(text.encode())).text == text


def test_an_archive_from_before_ustar_is_listed():
    content = bytearray(gzip.decompress(tarred("old.txt", b"a=1")))
    content[257:265] = bytes(8)
    content[148:156] = b"%06o\0 " % (sum(content[:148]) + sum(content[156:512]) + 8 * 32)
    assert reading("archive", gzip.compress(content)).text == "old.txt (3 bytes)"


def test_an_animated_sticker_says_so():
    sticker = gzip.compress(b'{"v":"5.5.2","tgs":1,"fr":60,"layers":[{"ty":4}]}')
    assert reading("archive", sticker).refusal == "it is an animated sticker, which has no text and is no picture"


def test_a_bomb_in_gzip_ends():
    found = reading("archive", gzip.compress(bytes(400_000_000), 1))
    assert "no text" in found.text


def test_an_encrypted_zip_says_so():
    content = bytearray(zipped({"a.txt": "x"}))
    content[content.index(b"PK\1\2") + 8] |= 1
    assert "1 of its files are encrypted" in reading("archive", bytes(content)).remarks


def test_a_document_that_hides_in_a_plain_zip_is_read():
    assert reading("archive", docx()).text == "Hello"


# RTF and the formats of the nineties


RTF = {
    "code page": (rb"{\rtf1\ansi\ansicpg1251{\fonttbl{\f0 A;}}\f0 \'cf\'f0\'e8\par}", "При"),
    "code page of a font": (rb"{\rtf1\ansi{\fonttbl{\f0\fcharset204 A;}}\f0 \'cf\'f0\'e8\par}", "При"),
    "unicode": (rb"{\rtf1\uc1 a\u8364?b\u-10179?\u-8704?}", "a€b😀"),
    "table": (rb"{\rtf1 \trowd A\cell B\cell\row \trowd 1\cell 2\cell\row}", "| A | B |\n| --- | --- |\n| 1 | 2 |"),
    "link": (rb'{\rtf1 {\field{\*\fldinst HYPERLINK "https://x/y"}{\fldrslt here}}}', "[here](https://x/y)"),
    "link within": (rb'{\rtf1 {\field{\*\fldinst HYPERLINK \\l "top"}{\fldrslt up}}}', "up"),
    "deleted": (rb"{\rtf1 a{\deleted b}{\revised c}}", "ac"),
    "style of a heading": (
        rb"{\rtf1{\stylesheet{Normal;}{\s1 heading 1;}{\s7\outlinelevel1 Other;}}\pard\s1 A\par\pard\s7 B\par\pard c\par}",
        "# A\n\n## B\n\nc",
    ),
    "words after a table": (rb"{\rtf1 \trowd\intbl A\cell\row\pard after}", "| A |\n| --- |\n\nafter"),
    "footnote": (rb"{\rtf1 a{\footnote note}b}", "a[^1]b\n\n[^1]: note"),
    "comment": (rb"{\rtf1 a{\*\atnauthor Rita}{\*\annotation why}}", "a[comment 1]\n\n[comment 1 by Rita: why]"),
    "header": (rb"{\rtf1 {\header ACME\par}body\par}", "[header: ACME]\n\nbody"),
    "hidden": (rb"{\rtf1 a{\v obey}b}", "ab"),
    "heading": (rb"{\rtf1 \outlinelevel0 Scope\par\pard text\par}", "# Scope\n\ntext"),
    "heading with a number": (rb"{\rtf1 \pard\outlinelevel1 {\listtext\pard\plain 1.\tab}Scope\par}", "## 1. Scope"),
    "list": (rb"{\rtf1 {\listtext\pard\plain \'b7\tab}one\par}", "- one"),
    "picture and unknown": (rb"{\rtf1 a{\pict 89504e47}{\*\unknown data}b}", "ab"),
    "a star within": (b"{\\rtf1 {\\i0\\*\\cs7 a}{\n\\*\\unknown data}b}", "ab"),
    "a row that does not end": (rb"{\rtf1 {A\cell B\cell }}", "| A | B |\n| --- | --- |"),
    "binary": (b"{\\rtf1 a\\bin3 }}}b}", "ab"),
    "font of signs": (
        rb"{\rtf1{\fonttbl{\f0\fcharset0 Arial;}{\f3\froman\fcharset2{\*\panose 05}Symbol;}{\f4\fcharset2 Wingdings{\*\falt x};}}\f0 a {\f3 a\'a3}{\f4 \'fc}",
        "a α≤✓",
    ),
    "flat table of fonts": (
        rb"{\rtf1{\fonttbl\f0\fnil Arial;\f1\fcharset2 Symbol;\f2\fcharset0 Symbol;}\f1 a\f2 a\f0 a}",
        "αaa",
    ),
    "signs as private letters": (rb"{\rtf1{\fonttbl{\f3\fcharset2 Symbol;}}{\f3\u-3999?}", "α"),
    "field of a sign": (
        rb'{\rtf1 {\field{\*\fldinst SYMBOL 97 \\f "Symbol" \\s 11}{\fldrslt\f3 a}}{\field{\*\fldinst SYMBOL 0x95}} {\field{\*\fldinst PAGE}{\fldrslt 7}}}',
        "α• 7",
    ),
    "field in a field": (
        rb'{\rtf1 {\field{\*\fldinst HYPERLINK "https://x/y"}{\fldrslt a{\field{\*\fldinst SYMBOL 97 \\f Symbol}{\fldrslt}}}}}',
        "[aα](https://x/y)",
    ),
    "fields of a form": (
        (
            rb"{\rtf1 {\field{\*\fldinst FORMCHECKBOX {\*\formfield{\fftype1\ffres25\ffdefres1}}}{\fldrslt}}a"
            rb"{\field{\*\fldinst{FORMCHECKBOX {\*\formfield{\fftype1\ffres0\ffdefres1}}}}{\fldrslt}}b"
            rb"{\field{\*\fldinst FORMDROPDOWN {\*\formfield{\fftype2\ffres1{\*\ffl x}{\*\ffl y}}}}{\fldrslt}}}"
        ),
        "☒a☐by",
    ),
    "two forms of the same words": (
        rb"{\rtf1 a{\upr{ {\footnote ?}\bin1 }?}{\*\ud{\u8364?{\footnote \u945?}}}}b{\upr}c}",
        "a€[^1]bc\n\n[^1]: α",
    ),
    "table in a table": (
        (
            rb"{\rtf1 \pard\intbl outer\cell before\par\pard\intbl\itap2 A\par\pard\intbl\itap2 a\nestcell B\nestcell"
            rb"{{\*\nesttableprops\trowd\nestrow}{\nonesttables\par}}C\nestcell D\nestcell{{\*\nesttableprops\trowd\nestrow}"
            rb"{\nonesttables\par}}\pard\intbl after\cell\row\pard end}"
        ),
        "| outer | before<br>A<br>a; B<br>C; D<br>after |\n| --- | --- |\n\nend",
    ),
    "tables in three depths": (
        (
            rb"{\rtf1 \intbl\itap2 A\nestcell b\par\pard\intbl\itap3 C\nestcell D\nestcell{\*\nesttableprops\nestrow}"
            rb"\pard\intbl\itap2 e\nestcell{\*\nesttableprops\nestrow}\pard\intbl\cell F\cell\row}"
        ),
        "| A; b<br>C; D<br>e | F |\n| --- | --- |",
    ),
    "an inner row that does not end": (
        rb"{\rtf1 \intbl A\cell\itap2 B\nestcell C\nestcell\pard\intbl\cell\row{\*\nesttableprops\nestrow}}\nesttableprops",
        "| A | B; C |\n| --- | --- |",
    ),
}


@pytest.mark.parametrize("what", RTF)
def test_rtf_is_what_its_program_shows(what):
    content, text = RTF[what]
    assert reading("rtf", content).text == text


def test_signs_of_unknown_fonts_are_counted():
    found = reading("rtf", rb"{\rtf1{\fonttbl{\f3\fcharset2 Symbol;}}a\u-3999?{\f3\'80}{\listtext\u-3999?\tab}b}")
    assert (found.text, found.remarks) == ("a\ufffd\ufffd- b", "2 signs of unknown fonts shown as \ufffd")


def test_rtf_with_a_photo_is_read():
    """As long as each line of the photo made a copy of those before it, no time was left for the words."""
    photo = (b"89504e47" * 16 + b"\r\n") * 50_000
    assert reading("rtf", b"{\\rtf1 a{\\pict " + photo + b"}b}").text == "ab"


def test_rtf_that_nests_for_ever_is_refused():
    assert reading("rtf", b"{\\rtf1 " + b"{" * 5000).refusal == "it is nested too deeply"


class Streams(dict):
    """What olefile gives of a compound file, by the names of its streams."""

    def exists(self, name):
        return name in self

    def openstream(self, name):
        return io.BytesIO(self[name])

    def get_size(self, name):
        return len(self[name])

    def listdir(self):
        return [name.split("/") for name in self]


@pytest.fixture
def streams(monkeypatch):
    found = Streams()
    for module in (ole, old_slides, old_word, outlook):
        monkeypatch.setattr(module, "open_ole", lambda *_: found)
    return found


def word_97(text: str, flags: int = 0) -> dict[str, bytes]:
    """Return the two streams of a document whose text is one piece of UTF-16."""
    place = 0x400
    pieces = struct.pack("<II", 0, len(text)) + struct.pack("<HIH", 0, place, 0)
    table = b"\2" + struct.pack("<I", len(pieces)) + pieces
    main = bytearray(place) + text.encode("utf-16-le")
    struct.pack_into("<HH", main, 0, 0xA5EC, 0xC1)
    struct.pack_into("<H", main, 10, flags)
    struct.pack_into("<II", main, 0x4C, len(text) - 5, 5)
    struct.pack_into("<II", main, 0x1A2, 0, len(table))
    return {"WordDocument": bytes(main), "0Table": table}


def test_an_old_document_gives_text_rows_links_and_footnotes(streams):
    streams.update(word_97('Größe\r\x13HYPERLINK "https://x/y"\x14here\x15\rA\x07B\x07\x071\x072\x07\x07\rnote\r'))
    assert reading("old_word", b"").text == (
        "Größe\n[here](https://x/y)\n\n| A | B |\n| --- | --- |\n| 1 | 2 |\n\n[footnotes:]\nnote"
    )


def with_properties(streams: dict[str, bytes], paragraphs: list, characters: list) -> dict[str, bytes]:
    """Add a page of paragraphs' styles and one of letters' properties, each with the number of its first character."""
    main, table = bytearray(streams["WordDocument"]), bytearray(streams["0Table"])
    end = (len(main) - 0x400) // 2
    main += bytes(-len(main) % 512)
    for header, size, runs in ((0x102, 13, paragraphs), (0xFA, 1, characters)):
        struct.pack_into("<II", main, header, len(table), 12)
        table += struct.pack("<III", 0x400, 0x400 + 2 * end, len(main) // 512)
        page = bytearray(512)
        places = [0x400 + 2 * start for start, _ in runs] + [0x400 + 2 * end]
        struct.pack_into(f"<{len(places)}I", page, 0, *places)
        for at, (_, properties) in enumerate(runs):
            page[4 * len(places) + size * at] = 100 + 8 * at
            page[200 + 16 * at : 200 + 16 * at + len(properties)] = properties
        page[-1] = len(runs)
        main += page
    return {"WordDocument": bytes(main), "0Table": bytes(table)}


def test_an_old_document_has_headings_and_leaves_out_what_is_hidden_or_deleted(streams):
    words = "Scope\rshown obey gone\rPart 😀\rlast\r"
    plain, vanish, deleted = b"\0", b"\3\x3c\x08\1", b"\3\x00\x08\1"
    style = {level: b"\0\1" + struct.pack("<H", level) for level in (0, 1, 2)}
    streams.update(
        with_properties(
            word_97(words + "     "),
            [(0, style[1]), (6, style[0]), (22, style[2]), (30, style[0])],
            [(0, plain), (12, vanish), (17, deleted), (21, plain)],
        )
    )
    found = reading("old_word", b"")
    assert found.text == "# Scope\n\nshown \n\n## Part 😀\n\nlast"
    assert found.remarks == "4 characters of hidden text left out; 4 characters of deleted text left out"


def test_signs_of_an_old_document_are_those_of_their_font(streams):
    """A letter stands for one of a font, or the words themselves are of a font."""
    names = ("Arial\0".encode("utf-16-le"), "Symbol\0".encode("utf-16-le"))
    fonts = struct.pack("<HH", len(names), 0) + b"".join(bytes([39 + len(n)]) + bytes(39) + n for n in names)
    found = with_properties(
        word_97("p ( 0.05 \uf061 (()\r     "),
        [],
        [
            (0, b"\0"),
            (2, b"\6" + struct.pack("<HHH", 0x6A09, 1, 0xF0A3)),
            (3, b"\0"),
            (9, b"\4" + struct.pack("<HH", 0x4A4F, 1)),
            (10, b"\0"),
            (11, b"\6" + struct.pack("<HHH", 0x6A09, 7, 0x5C)),
            (12, b"\6" + struct.pack("<HHH", 0x6A09, 7, 0xF0A3)),
            (13, b"\4" + struct.pack("<HH", 0x4A4F, 0)),
        ],
    )
    main = bytearray(found["WordDocument"])
    struct.pack_into("<II", main, 0x112, len(found["0Table"]), len(fonts))
    streams.update({"WordDocument": bytes(main), "0Table": found["0Table"] + fonts})
    shown = reading("old_word", b"")
    assert (shown.text, shown.remarks) == ("p ≤ 0.05 α \\\ufffd)", "1 sign of unknown fonts shown as \ufffd")


def test_a_table_of_an_old_document_has_its_empty_cells_and_those_of_more_paragraphs(streams):
    """What ends a row is told by its properties; an empty last cell ends in the same letters."""
    words = "before\rA\x07\x07\x07one\rtwo\x07B\x07\x07after\r"
    inside, end = b"\0\0" + struct.pack("<HB", 0x2416, 1), b"\0\0" + struct.pack("<HBHB", 0x2416, 1, 0x2417, 1)
    paragraphs = [
        (0, b"\0\0"),
        (7, inside),
        (9, inside),
        (10, end),
        (11, inside),
        (15, inside),
        (19, inside),
        (21, end),
        (22, b"\0\0"),
    ]
    held = [(at, bytes([0, (len(found) + 1) // 2]) + found + b"\0") for at, found in paragraphs]
    streams.update(with_properties(word_97(words + "     "), held, []))
    assert reading("old_word", b"").text == ("before\n\n| A |  |\n| --- | --- |\n| one<br>two | B |\n\nafter")


def word_6(text: bytes, *, flags: int = 0, counts: tuple[int, ...] = ()) -> bytes:
    """Return the stream of a document of Word 6, whose text is one byte a character."""
    main = bytearray(0x300) + text
    struct.pack_into("<HH", main, 0, 0xA5DC, 101)
    struct.pack_into("<H", main, 10, flags)
    struct.pack_into("<I", main, 0x18, 0x300)
    struct.pack_into("<8I", main, 0x34, *(counts or (len(text),)), *[0] * (8 - len(counts or (1,))))
    return bytes(main)


def test_a_document_of_word_6_is_read_in_the_code_page_of_its_words(streams):
    words = "Компания предлагает со склада в Москве следующий ассортимент\rВсего доброго\r"
    streams["WordDocument"] = word_6(words.encode("cp1251") + b"junk behind the text", counts=(len(words) - 14, 14))
    found = reading("old_word", b"")
    assert found.text == words[:60].strip() + "\n\n[footnotes:]\nВсего доброго"
    assert found.remarks == "headings and hidden text are not told apart from the rest; decoded as windows-1251"


def test_a_quickly_saved_document_of_word_6_has_its_pieces_in_order(streams):
    text = b"second first "
    pieces = struct.pack("<3I", 0, 6, 13) + struct.pack("<HIH", 0, 0x307, 0) + struct.pack("<HIH", 0, 0x300, 0)
    main = bytearray(word_6(text, flags=0x0004))
    struct.pack_into("<II", main, 0x160, len(main), len(pieces) + 5)
    streams["WordDocument"] = bytes(main) + b"\2" + struct.pack("<I", len(pieces)) + pieces
    assert reading("old_word", b"").text == "first second"


def test_a_long_paragraph_of_an_old_document_costs_little(streams):
    streams.update(word_97("word " * 20_000 + "\rA\x07B\x07\x07\r" + "     "))
    used = time.process_time()
    assert reading("old_word", b"").text.endswith("word \n\n| A | B |\n| --- | --- |")
    assert time.process_time() - used < 2


def test_an_old_document_with_a_password_says_so(streams):
    streams.update(word_97("x" * 20, flags=0x0100))
    assert reading("old_word", b"").refusal == "it is encrypted (password-protected)"


@pytest.mark.parametrize("task", ["old_word", "old_slides"])
@pytest.mark.parametrize("content", [b"", b"\xec\xa5" + b"\xff" * 2000, bytes(3000)])
def test_an_old_document_that_is_damaged_breaks_nothing(task, content, streams):
    streams.update({"WordDocument": content, "0Table": b"\2\xff\xff\xff\x7f", "PowerPoint Document": content})
    assert reading(task, b"").refusal


def record(kind: int, content: bytes, *, instance: int = 0, container: bool = False) -> bytes:
    return struct.pack("<HHI", instance << 4 | 0xF * container, kind, len(content)) + content


def test_old_slides_give_outline_shapes_and_notes(streams):
    title, body = record(3999, bytes(4)), record(3999, b"\1\0\0\0")
    listed = record(1011, bytes(20)) + title + record(4000, "Title".encode("utf-16-le")) + body + record(4008, b"point")
    document = record(1000, record(4080, listed, container=True), container=True)
    slide = record(1006, record(4008, b"in a shape") + record(4008, b"Title"), container=True)
    streams["PowerPoint Document"] = document + slide + record(1008, record(4008, b"say this"), container=True)
    found = reading("old_slides", b"")
    assert (found.text, found.remarks) == ("## Slide 1: Title\n\npoint\nin a shape\n\n[notes: say this]", "1 slide")


def saved(*parts: bytes, document: int = 0, before: int = 0, start: int = 0) -> bytes:
    """Return what one save adds: records that are numbered from 1 on, their directory, and the edit at the end."""
    places = [start + sum(map(len, parts[:at])) for at in range(len(parts))]
    data = b"".join(parts)
    directory = record(6002, struct.pack(f"<{1 + len(parts)}I", len(parts) << 20 | 1, *places))
    edit = record(4085, struct.pack("<5I", 0, 0, before, start + len(data), document) + bytes(8))
    return data + directory + edit


def test_old_slides_are_those_of_the_last_save_with_their_notes_and_comments(streams):
    """Every save leaves what it replaces in the file; the master of the notes is none."""

    def note(slide: int, text: bytes) -> bytes:
        return record(1008, record(1009, struct.pack("<II", slide, 0)) + record(4008, text), container=True)

    def listed(persist: int, number: int = 0) -> bytes:
        return record(1011, struct.pack("<5I", persist, 0, 0, number, 0))

    title, body = record(3999, bytes(4)), record(3999, b"\1\0\0\0")
    slides = listed(2, 257) + title + record(4008, b"Second\rline") + listed(3, 256) + body + record(4008, b"one\rtwo")
    lists = record(4080, slides, container=True) + record(4080, listed(4) + listed(5), instance=2, container=True)
    document = record(1000, lists, container=True)
    remark = record(4026, "Ann".encode("utf-16-le")) + record(4026, "why?".encode("utf-16-le"), instance=1)
    tags = record(5000, record(5003, record(12_000, remark, container=True)), container=True)
    show = record(1017, bytes(10) + b"\4\0" + bytes(4))
    slide = record(1006, show + record(4008, b"7\r7\rSecond") + tags, container=True)
    place = record(0xF011, record(3011, bytes(4) + b"\x0d" + bytes(3)), container=True)
    box = record(0xF004, place + record(0xF00D, record(4008, b"Title in a shape"), container=True), container=True)
    box += record(0xF00D, title + record(4008, b"more of it"), container=True)
    parts = [document, slide, record(1006, box, container=True), note(0, b"Click to edit"), note(257, b"say this")]
    old = saved(document, record(1006, record(4008, b"OUTDATED"), container=True), *parts[2:], document=1)
    streams["PowerPoint Document"] = old + saved(*parts, document=1, before=len(old) - 36, start=len(old))
    end = len(streams["PowerPoint Document"]) - 36
    streams["Current User"] = bytes(16) + struct.pack("<I", end)
    found = reading("old_slides", b"")
    assert found.text == (
        "## Slide 1 (hidden): Second line\n\n7\n7\n\n[comment by Ann: why?]\n\n[notes: say this]\n\n"
        "## Slide 2: Title in a shape more of it\n\n- one\n- two"
    )
    assert found.remarks == "2 slides; 1 hidden slide"


def test_a_table_of_old_slides_has_its_rows_and_columns(streams):
    """Its cells are shapes of a group, in any order."""

    def shape(left: int, top: int, text: bytes) -> bytes:
        anchor = record(0xF00F, struct.pack("<4i", left, top, left + 9, top + 9))
        return record(0xF004, anchor + record(0xF00D, record(4008, text), container=True), container=True)

    marked = record(0xF004, record(0xF122, struct.pack("<HI", 0x039F, 1)), container=True)
    line = record(0xF004, record(0xF00F, struct.pack("<4i", 0, 10, 99, 10)), container=True)
    cells = shape(50, 0, b"Price") + shape(0, 10, b"tea") + shape(50, 10, b"4\rnet") + shape(0, 0, b"What")
    slide = record(1006, record(0xF003, marked + line + cells, container=True), container=True)
    streams["PowerPoint Document"] = record(1000, b"", container=True) + slide
    assert reading("old_slides", b"").text == ("## Slide 1\n\n| What | Price |\n| --- | --- |\n| tea | 4<br>net |")


def test_slides_for_two_programs_are_those_of_the_later_one(streams):
    """PowerPoint 95 and 97 can both open such a file: what the first reads stands beside what the second reads."""
    streams["PowerPoint Document"] = record(1, b"of PowerPoint 95", container=True)
    assert reading("old_slides", b"").refusal == "it is damaged or of a kind that cannot be read"
    slide = record(1006, record(4008, b"point"), container=True)
    streams["PP97_DUALSTORAGE/PowerPoint Document"] = record(1000, b"", container=True) + slide
    assert reading("old_slides", b"").text == "## Slide 1\n\npoint"


def test_a_compound_file_is_what_its_streams_say(streams):
    """The parent sees only the ends of a file, and the list of the streams may lie between them."""
    streams["__properties_version1.0"] = b""
    streams["__substg1.0_0037001F"] = "Order".encode("utf-16-le")
    found = reading("ole", b"")
    assert (found.text, found.remarks) == ("Subject: Order", "a mail")
    streams.clear()
    found = reading("ole", b"\0\0words in a row\0\0")
    assert found.text == "words in a row"
    assert found.remarks.startswith("the text that was found in a file of unknown or damaged structure; ")


def test_an_outlook_mail_gives_heads_text_and_attachments(streams):
    for number, text in (("0037", "Order"), ("0C1A", "Ann"), ("1000", "Please confirm by Friday.")):
        streams[f"__substg1.0_{number}001F"] = text.encode("utf-16-le")
    streams["__attach_version1.0_#00000000/__substg1.0_3707001F"] = "a.pdf".encode("utf-16-le")
    streams["__attach_version1.0_#00000000/__substg1.0_37010102"] = bytes(9)
    found = reading("outlook", b"")
    assert found.text == "From: Ann\nSubject: Order\n\nPlease confirm by Friday.\n\n[attached:]\n- a.pdf (9 bytes)"


def sent(moment: dt.datetime, place: str, head: int) -> dict[str, bytes]:
    """Return the stream of a mail's properties of fixed size, which tells when it was sent."""
    ticks = (moment - dt.datetime(1601, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1) * 10
    entries = struct.pack("<IIQ", 0x0E060040, 6, 1) + struct.pack("<IIQ", 0x00390040, 6, ticks)
    return {f"{place}__properties_version1.0": bytes(head) + entries}


@pytest.mark.parametrize(
    ("page_number", "charset"),
    [(1251, "windows-1251"), (20866, "koi8-r"), (28595, "iso-8859-5"), (65001, "utf-8"), (0, "utf-8"), (2**32 - 1, "utf-8")],
)  # fmt: skip
def test_an_outlook_mail_is_decoded_in_the_code_pages_that_it_names(page_number, charset, streams):
    """A subject has too few letters for the detector."""
    pages = struct.pack("<IIQ", 0x3FFD0003, 6, page_number) + struct.pack("<IIQ", 0x3FDE0003, 6, page_number)
    streams["__properties_version1.0"] = bytes(32) + pages
    streams["__substg1.0_0037001E"] = "Заказ".encode(charset)
    streams["__substg1.0_10130102"] = "<p>Чай".encode(charset)
    streams["__recip_version1.0_#00000000/__substg1.0_3001001E"] = "Аня".encode(charset)
    assert reading("outlook", b"").text == "To: Аня\nSubject: Заказ\n\nЧай"


def test_an_outlook_mail_tells_when_and_to_whom_and_shows_the_mails_within(streams):
    def put(place: str, **texts: str) -> None:
        for number, text in texts.items():
            streams[f"{place}__substg1.0_{number[1:]}001F"] = text.encode("utf-16-le")

    streams.update(sent(dt.datetime(2024, 2, 29, 13, 5, tzinfo=dt.UTC), "", 32))
    put("", _0037="Outer", _1000="See the mail that I send along.")
    put("__recip_version1.0_#00000000/", _3001="Bo", _39FE="bo@example.com")
    attached = "__attach_version1.0_#00000000/"
    inner = f"{attached}__substg1.0_3701000D/"
    put(attached, _3001="Inner")
    streams.update(sent(dt.datetime(2023, 1, 2, 3, 4, tzinfo=dt.UTC), inner, 24))
    put(inner, _0037="Inner", _0C1A="Ann", _1000="This is what she wrote to me.")
    put(f"{inner}__attach_version1.0_#00000000/", _3707="b.pdf")
    found = reading("outlook", b"")
    assert found.text == (
        "To: bo@example.com\nSubject: Outer\nDate: 2024-02-29 13:05 UTC\n\nSee the mail that I send along.\n\n"
        "[forwarded mail Inner:]\nFrom: Ann\nSubject: Inner\nDate: 2023-01-02 03:04 UTC\n\n"
        "This is what she wrote to me.\n\n[attached:]\n- b.pdf"
    )
    assert found.remarks == "1 attached file not shown"


def test_compressed_rtf_is_that_of_the_specification():
    """[MS-OXRTFCP] section 3.1.1."""
    packed = bytes.fromhex(
        "2d0000002b0000004c5a4675f1c5c7a703000a00726370673132354232 0af32068656c09002062 7705b06c647d0a800fa0".replace(
            " ", ""
        )
    )
    assert outlook._unpacked(packed) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"


def test_a_damaged_compound_file_gives_what_letters_it_has():
    content = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + "KEYWORD and more".encode("utf-16-le")
    assert reading("ole", content).text == "KEYWORD and more"


# Both loops, the whole way


async def test_pages_and_mails_reach_the_model(tmp_path):
    stage = stage_of(
        tmp_path, ("p.html", page("<h1>News</h1>")), ("m.eml", mail("hello there\n").as_bytes()), ("b.epub", epub()),
        ("n.ipynb", b'{"cells": [{"cell_type": "markdown", "source": "words"}]}'), ("z.zip", zipped({"src/a.py": "a=1"})),
    )  # fmt: skip
    prompt = await llm.prompt(stage)
    for heading, line in (
        ("'p.html' (a page as Markdown)", "# News"), ("'m.eml' (a mail)", "From: a@example.com"), ("'b.epub' (an e-book as Markdown; 1 part)", "Chapter one"),
        ("'n.ipynb' (a notebook as Markdown; 1 cell)", "words"),
    ):  # fmt: skip
        assert f"{heading}:]\n```markdown\n{line}" in prompt
    assert "'z.zip' (the list of its members; 1 file, 3 bytes unpacked):]\n```text\nsrc/a.py (3 bytes)\n```" in prompt
