"""Everything that an office program shows on the page, once; and what was left out, counted in the heading."""

# ruff: noqa: E501, ISC004  # a document's XML is read best where it is not broken up

import datetime as dt
import io
import itertools
import re
import struct
import time
import zipfile
from pathlib import Path

import pytest
from llm_stage import XML, docx, stage_of, xlsx, zipped
from reading import reading

from staging import llm
from staging.llm._converter.formats import shown

pytestmark = pytest.mark.usefixtures("shared_converters")

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
NAMESPACES = (
    W + ' xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    ' xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"'
    ' xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing"'
    ' xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" xmlns:v="urn:schemas-microsoft-com:vml"'
    ' xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
    ' xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart"'
    ' xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
)
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def p(text: str, more: str = "") -> str:
    return f"<w:p>{more}<w:r><w:t>{text}</w:t></w:r></w:p>"


def word(body: str, **parts: str) -> bytes:
    document = f"<w:document {NAMESPACES}><w:body>{body}</w:body></w:document>"
    named = {f"word/{name}" + ".xml" * ("." not in name): content for name, content in parts.items() if name != "rels"}
    rels = {"word/_rels/document.xml.rels": parts["rels"]} if "rels" in parts else {}
    return zipped({"[Content_Types].xml": "<Types/>", "word/document.xml": document, **named, **rels})


def relations(**targets: str) -> str:
    rows = []
    for name, target in targets.items():
        kind, mode = ("hyperlink", ' TargetMode="External"') if "://" in target else ("chart", "")
        rows.append(f'<Relationship Id="{name}" Type="{OFFICE}/{kind}" Target="{target}"{mode}/>')
    return f'<Relationships xmlns="{RELATIONS}">{"".join(rows)}</Relationships>'


def either(choice: str, fallback: str) -> str:
    return f"<mc:AlternateContent><mc:Choice>{choice}</mc:Choice><mc:Fallback>{fallback}</mc:Fallback></mc:AlternateContent>"


BOX = f"<w:txbxContent>{p('BOXWORD')}</w:txbxContent>"
SHAPE = (
    "<w:p><w:r><mc:AlternateContent><mc:Choice Requires='wps'><w:drawing><wps:txbx>" + BOX + "</wps:txbx></w:drawing>"
    "</mc:Choice><mc:Fallback><w:pict><v:textbox>"
    + BOX
    + "</v:textbox></w:pict></mc:Fallback></mc:AlternateContent></w:r></w:p>"
)
TABLE = (
    "<w:tbl><w:tr><w:tc>" + p("Region") + "</w:tc><w:tc>" + p("Units") + "</w:tc></w:tr><w:tr><w:tc><w:tcPr><w:vMerge "
    'w:val="restart"/></w:tcPr>' + p("EU") + "</w:tc><w:tc>" + p("12") + p("a|b") + "</w:tc></w:tr><w:tr><w:tc><w:tcPr>"
    "<w:vMerge/></w:tcPr>" + p("EU") + "</w:tc><w:tc>" + p("7") + "</w:tc></w:tr></w:tbl>"
)
NUMBERS = (
    f"<w:numbering {W}><w:abstractNum w:abstractNumId='0'><w:lvl w:ilvl='0'><w:start w:val='1'/><w:numFmt w:val='decimal'/>"
    "<w:lvlText w:val='%1.'/></w:lvl><w:lvl w:ilvl='1'><w:start w:val='1'/><w:numFmt w:val='lowerLetter'/>"
    "<w:lvlText w:val='%1.%2)'/></w:lvl></w:abstractNum><w:num w:numId='5'><w:abstractNumId w:val='0'/></w:num></w:numbering>"
)


def listed(level: int, number: int = 5) -> str:
    return f"<w:pPr><w:numPr><w:ilvl w:val='{level}'/><w:numId w:val='{number}'/></w:numPr></w:pPr>"


def field(instruction: str, result: str) -> str:
    mark = "<w:r><w:fldChar w:fldCharType='{}'/></w:r>"
    told = f"<w:r><w:instrText>{instruction}</w:instrText></w:r>"
    shows = f"<w:r><w:t>{result}</w:t></w:r>"
    return f"<w:p>{mark.format('begin')}{told}{mark.format('separate')}{shows}{mark.format('end')}</w:p>"


def styled(style: str, text: str, more: str = "") -> str:
    return f"<w:r><w:rPr><w:rStyle w:val='{style}'/>{more}</w:rPr><w:t>{text}</w:t></w:r>"


SAVED_PAGE = (
    "Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: "
    "quoted-printable\r\n\r\n<html><body><h1 class=3D'x'>M=C3=BCller</h1><p>12 =E2=82=AC</p></body></html>\r\n--b\r\n"
    "Content-Type: image/png\r\n\r\nPNG\r\n--b--\r\n"
)
VISIBLE = "<w:vanish w:val='0'/>"


def sign(code: str, font: str = "Symbol") -> str:
    return f"<w:r><w:sym w:font='{font}' w:char='{code}'/></w:r>"


CHART = (
    f"<c:chartSpace {NAMESPACES}><c:ser><c:tx><c:v>Sales</c:v></c:tx><c:cat><c:pt idx='0'><c:v>Q1</c:v></c:pt></c:cat>"
    "<c:val><c:pt idx='0'><c:v>4711</c:v></c:pt></c:val></c:ser></c:chartSpace>"
)
DOCUMENTS = {
    "table": (word(TABLE), "| Region | Units |\n| --- | --- |\n| EU | 12<br>a\\|b |\n|  | 7 |", ""),
    "header and footer once": (
        word(p("Body"), header1=f"<w:hdr {W}>{p('ACME')}</w:hdr>", header2=f"<w:hdr {W}>{p('ACME')}</w:hdr>",
             footer1=f"<w:ftr {W}>{p('IBAN')}</w:ftr>"),
        "[header: ACME]\n\nBody\n\n[footer: IBAN]", "",
    ),
    "footnote": (
        word("<w:p><w:r><w:t>Body</w:t><w:footnoteReference w:id='2'/></w:r></w:p>",
             footnotes=f"<w:footnotes {W}><w:footnote w:id='0' w:type='separator'>{p('-')}</w:footnote>"
             f"<w:footnote w:id='2'>{p('until June')}</w:footnote></w:footnotes>"),
        "Body[^2]\n\n[^2]: until June", "",
    ),
    "endnote": (word(p("Body"), endnotes=f"<w:endnotes {W}><w:endnote w:id='1'>{p('see Q')}</w:endnote></w:endnotes>"),
                "Body\n\n[^e1]: see Q", ""),
    "comment": (
        word("<w:p><w:r><w:t>clause</w:t></w:r><w:commentRangeEnd w:id='0'/></w:p>",
             comments=f"<w:comments {W}><w:comment w:id='0' w:author='Rita'>{p('delete it')}</w:comment></w:comments>"),
        "clause[comment 0]\n\n[comment 0 by Rita: delete it]", "1 comment",
    ),
    "comment at a place": (
        word("<w:p><w:r><w:t>here</w:t></w:r><w:r><w:commentReference w:id='3'/></w:r></w:p>",
             comments=f"<w:comments {W}><w:comment w:id='3'>{p('why')}</w:comment></w:comments>"),
        "here[comment 3]\n\n[comment 3: why]", "1 comment",
    ),
    "alternatives once": (
        word(either(p("a"), p("b")) + either("", p("c")) + "<w:p>" + either("<w:r><w:t>d</w:t></w:r>", "<w:r><w:t>e</w:t></w:r>") + "</w:p>"
             + "<w:tbl><w:tr><w:tc>" + either(p("h"), p("i")) + "</w:tc></w:tr></w:tbl>",
             footnotes=f"<w:footnotes {NAMESPACES}><w:footnote w:id='2'>{either(p('j'), p('k'))}</w:footnote></w:footnotes>"),
        "a\n\nc\n\nd\n\n| h |\n| --- |\n\n[^2]: j", "",
    ),
    "text box once": (word(p("Body") + SHAPE), "Body\n\nBOXWORD", ""),
    "deleted text": (word("<w:p><w:r><w:t>keep</w:t></w:r><w:del><w:r><w:delText>GONE</w:delText></w:r></w:del></w:p>"),
                     "keep", "1 tracked deletion left out"),
    "moved text once": (word(f"<w:moveFrom>{p('MOVED')}</w:moveFrom>{p('mid')}<w:p><w:moveTo><w:r><w:t>MOVED</w:t></w:r></w:moveTo></w:p>"),
                        "mid\n\nMOVED", "1 tracked deletion left out"),
    "hidden text": (word("<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>obey</w:t></w:r><w:r><w:t>seen</w:t></w:r></w:p>"),
                    "seen", "4 characters of hidden text left out"),
    "text hidden by styles": (
        word(p("seen") + p("ABC", "<w:pPr><w:pStyle w:val='P'/></w:pPr>") + f"<w:p>{styled('C', 'DE')}{styled('C', ' too', VISIBLE)}"
             f"{styled('O', ' and')}</w:p><w:p><w:pPr><w:pStyle w:val='P'/></w:pPr>{styled('C', 'again')}</w:p>",
             styles=f"<w:styles {W}><w:style w:styleId='B'><w:rPr><w:vanish/></w:rPr></w:style><w:style w:styleId='P'><w:basedOn w:val='B'/></w:style>"
             "<w:style w:styleId='C'><w:basedOn w:val='B'/></w:style><w:style w:styleId='O'><w:basedOn w:val='B'/><w:rPr><w:vanish w:val='off'/></w:rPr>"
             "</w:style></w:styles>"),
        "seen\n\ntoo and\n\nagain", "5 characters of hidden text left out",
    ),
    "struck text": (word("<w:p><w:r><w:rPr><w:strike/></w:rPr><w:t>no</w:t></w:r><w:r><w:t> yes</w:t></w:r></w:p>"), "~~no~~ yes", ""),
    "no-break hyphen": (word("<w:p><w:r><w:t>555</w:t><w:noBreakHyphen/><w:t>01</w:t></w:r></w:p>"), "555\u201101", ""),
    "equation": (word("<w:p><m:oMath><m:f><m:num><m:r><m:t>a</m:t></m:r></m:num><m:den><m:r><m:t>b</m:t></m:r></m:den></m:f></m:oMath></w:p>"),
                 "$\\frac{a}{b}$", ""),
    "checked box": (word("<w:p><w:r><w:sym w:font='Wingdings' w:char='F0FE'/><w:t> agree</w:t></w:r></w:p>"), "☑ agree", ""),
    "signs of Symbol": (word(f"<w:p>{sign('F061')}{sign('F0A3')}{sign('00B1')}{sign('F0B0')}{sign('F06D')}{sign('F0B7')}</w:p>"), "α≤±°μ•", ""),
    "signs as private letters": (word("<w:p><w:r><w:rPr><w:rFonts w:ascii='Symbol' w:hAnsi='Symbol'/></w:rPr><w:t>p \uf0b3 \uf061</w:t></w:r></w:p>"),
                                 "p ≥ α", ""),
    "signs by a style": (word("<w:p><w:r><w:rPr><w:rStyle w:val='S'/></w:rPr><w:t>\uf061</w:t></w:r></w:p>",
                              styles=f"<w:styles {W}><w:style w:styleId='S'><w:basedOn w:val='B'/></w:style><w:style w:styleId='B'><w:rPr>"
                              "<w:rFonts w:ascii='Symbol'/></w:rPr></w:style></w:styles>"), "α", ""),
    "signs of an unknown font": (word(f"<w:p>{sign('F061', 'Other')}{sign('F0FF', 'Wingdings')}{sign('2665', 'Other')}{sign('00B1', 'Other')}{sign('x', 'Webdings')}</w:p>"
                                      + p("\uf0fe")), "\ufffd\ufffd♥±\ufffd\n\n\ufffd", "4 signs of unknown fonts shown as \ufffd"),
    "form's box": (word("<w:p><w:r><w:fldChar w:fldCharType='begin'><w:ffData><w:checkBox><w:default w:val='1'/></w:checkBox></w:ffData>"
                        "</w:fldChar></w:r><w:r><w:fldChar w:fldCharType='end'/></w:r><w:r><w:t> agree</w:t></w:r></w:p>"), "☒ agree", ""),
    "field": (word(field("PAGE", "7")), "7", ""),
    "field of a sign": (word(field("SYMBOL 163 \\f Symbol", "").replace("separate", "none")), "≤", ""),
    "field of a link": (word(field('HYPERLINK "https://x/y"', "here")), "[here](https://x/y)", ""),
    "link": (word("<w:p><w:hyperlink r:id='a'><w:r><w:t>here</w:t></w:r></w:hyperlink></w:p>", rels=relations(a="https://x/y")),
             "[here](https://x/y)", ""),
    "heading": (word(p("Scope", "<w:pPr><w:pStyle w:val='Heading2'/></w:pPr>") + p("text")), "## Scope\n\ntext", ""),
    "heading by its outline": (word(p("Scope", "<w:pPr><w:outlineLvl w:val='0'/></w:pPr>")), "# Scope", ""),
    "numbers": (word(p("a", listed(0)) + p("b", listed(1)) + p("c", listed(1)) + p("d", listed(0)), numbering=NUMBERS),
                "1. a\n  1.a) b\n  1.b) c\n2. d", ""),
    "numbers that restart": (
        word(p("a", listed(0)) + p("b", listed(0)) + p("c", listed(0, 6)) + p("d", listed(0, 6)) + p("e", listed(1, 6)) + p("f", listed(1, 6))
             + p("g", listed(0)), numbering=NUMBERS.replace("</w:numbering>", "<w:num w:numId='6'><w:abstractNumId w:val='0'/>"
             "<w:lvlOverride w:ilvl='0'><w:startOverride w:val='1'/></w:lvlOverride><w:lvlOverride w:ilvl='1'><w:startOverride w:val='3'/>"
             "</w:lvlOverride></w:num></w:numbering>")),
        "1. a\n2. b\n1. c\n2. d\n  2.c) e\n  2.d) f\n3. g", "",
    ),
    "picture": (word("<w:p><w:r><w:drawing><wp:inline><wp:docPr descr='floor plan'/><a:blip/></wp:inline></w:drawing></w:r></w:p>"),
                "![floor plan]", "1 picture not shown"),
    "page in MIME": (
        word(p("before") + "<w:altChunk r:id='a'/>" + p("after"), rels=relations(a="chunk.mht"), **{"chunk.mht": SAVED_PAGE}),
        "before\n\n# Müller\n\n12 €\n\n[attached:]\n- without a name (image/png, 3 bytes)\n\nafter", "1 attached file not shown",
    ),
    "chart": (word("<w:p><w:r><w:drawing><c:chart r:id='c'/></w:drawing></w:r></w:p>", rels=relations(c="charts/chart1.xml"),
                   **{"charts/chart1": CHART}), "[chart]\n\n|  | Sales |\n| --- | --- |\n| Q1 | 4711 |", ""),
}  # fmt: skip


@pytest.mark.parametrize("what", DOCUMENTS)
def test_a_word_document_is_what_word_shows(what):
    content, text, remarks = DOCUMENTS[what]
    found = reading("docx", content)
    assert (found.text.strip(), found.remarks, found.refusal) == (text, remarks, "")


def test_an_empty_document_is_no_scan():
    assert reading("docx", docx("<w:p/>")).refusal == "there is no text in it"


def test_a_form_of_empty_rows_is_no_bomb():
    cell = (
        "<w:tc><w:tcPr><w:tcW w:w='1200' w:type='dxa'/></w:tcPr><w:p><w:pPr><w:jc w:val='left'/></w:pPr></w:p></w:tc>"
    )
    found = reading(
        "docx", docx(f"<w:p><w:r><w:t>Hello</w:t></w:r></w:p><w:tbl>{f'<w:tr>{cell * 12}</w:tr>' * 1500}</w:tbl>")
    )
    assert found.text.startswith("Hello")


def test_deep_nesting_is_refused():
    nested = "<w:tbl><w:tr><w:tc>" * 300 + p("x") + "</w:tc></w:tr></w:tbl>" * 300
    assert reading("docx", docx(nested)).refusal == "it is nested too deeply"


# Workbooks


def book(fill) -> bytes:
    openpyxl = __import__("openpyxl")
    workbook = openpyxl.Workbook()
    fill(workbook, workbook.active)
    buffer = io.BytesIO()
    workbook.save(buffer)
    return buffer.getvalue()


def _formulas(_, sheet):
    sheet.append(["net", "gross"])
    sheet.append([12, "=A2*1.19"])


def _noted(_, sheet):
    comments = __import__("openpyxl.comments").comments
    sheet["B3"] = 5
    sheet["B3"].comment = comments.Comment("estimate", "R")


def _hidden(workbook, sheet):
    sheet["A1"] = "shown"
    secret = workbook.create_sheet("secret")
    secret["A1"] = "HIDDEN"
    secret.sheet_state = "veryHidden"


def _formatted(_, sheet):
    for at, (value, code) in enumerate(
        [
            (dt.date(2026, 3, 1), None),
            (0.195, "0.0%"),
            (dt.time(9, 30), None),
            (1234.5, '#,##0.00\\ "€"'),
            (True, None),
        ],
        1,
    ):
        cell = sheet.cell(1, at, value)
        cell.number_format = code or cell.number_format


def _linked(_, sheet):
    sheet["A1"] = "here"
    sheet["A1"].hyperlink = "https://example.com/terms"


def _gaps(_, sheet):
    sheet["A1"], sheet["C40"], sheet["XFD41"] = "top", "row forty", "far"


def _merged(_, sheet):
    sheet["A1"] = "Q1"
    sheet.merge_cells("A1:C1")


def _covered(_, sheet):
    for number in range(1, 7):
        sheet[f"A{number}"] = f"r{number}"
    for number in (2, 3, 5):
        sheet.row_dimensions[number].hidden = True
    sheet["C1"] = "c"
    sheet.column_dimensions["C"].hidden = True


def _escaped(workbook, sheet):
    """Write what openpyxl does not escape by itself."""
    comments = __import__("openpyxl.comments").comments
    sheet.title = "a_x0041_"
    sheet["A1"], sheet["B1"] = "one_x000D_\ntwo_x000d_three", "_x0041__x005F_x0041_ _x004_ _x001B_[1m"
    sheet["C1"].comment = comments.Comment("x_x000D_y", "R_x0042_")


BOOKS = {
    "escapes": (_escaped, ["[sheet 'aA']", '1,"one\ntwo\nthree",A_x0041_ _x004_ [1m', "[comment C1 by RB: x y]"]),
    "hidden rows and columns": (_covered, ["2,r2", "[hidden rows: 2 to 3, 5]\n[hidden columns: C]"]),
    "formula without a value": (_formulas, ["1,net,gross\n2,12,=A2*1.19"]),
    "comment": (_noted, ["3,,5", "[comment B3 by R: estimate]"]),
    "hidden sheet": (_hidden, ["[2 sheets: 'Sheet', 'secret' (hidden)]", "[sheet 'secret' (hidden)]"]),
    "formats": (_formatted, ['1,2026-03-01,19.5%,09:30:00,"1,234.50 €",TRUE']),
    "link": (_linked, ["[link A1: https://example.com/terms]"]),
    "gaps": (_gaps, ["1,top\n40,,,row forty\n41,[XFD41:] far"]),
    "merged": (_merged, ["1,Q1", "[merged: A1:C1]"]),
}


@pytest.mark.parametrize("what", BOOKS)
def test_a_workbook_is_what_its_program_shows(what):
    fill, lines = BOOKS[what]
    found = reading("xlsx", book(fill))
    assert [line for line in lines if line not in found.text] == [], found.text


OLD_BOOK = Path(__file__).parent / "files" / "workbook.xls"  # as LibreOffice writes it


def test_an_old_workbook_is_what_its_program_shows():
    found = reading("old_sheets", OLD_BOOK.read_bytes())
    assert found.remarks == "2 sheets; 1 hidden sheet"
    assert found.text.splitlines()[2:] == [
        "[sheet 'Data']", ",A,B,C,D,E,F,G,H", "1,merged title", "2,25.6%,2024-02-29,#N/A", "3,site", "4,hiddenrow",
        '5,,TRUE,"1,234,567.89 €",0.256', "6,noted", "7,13:45:00,30:00:00", "8,(5),0.333333333333333",
        "[hidden rows: 4]", "[hidden columns: C]", "[comment A6: check this]", "[link A3: https://example.com/x]",
        "[merged: A1:C1]", "", "[sheet 'Secret' (hidden)]", ",A,B,C,D,E,F,G,H", "1,x",
    ]  # fmt: skip


def old_book(
    *cells: tuple[int, int, float],
    name: bytes = b"",
    formats: tuple[int, ...] = (),
    merged: list[tuple[int, int, int, int]] | None = None,
) -> bytes:
    """Return the records of an old workbook with numbers, and with a name that is a formula of the given bytes.

    Of `formats`, each is that of a row.
    """

    def record(kind: int, data: bytes) -> bytes:
        return struct.pack("<HH", kind, len(data)) + data

    def begin(what: int) -> bytes:
        return record(0x809, struct.pack("<4H2I", 0x600, what, 0, 0, 0, 0))

    end = record(0x0A, b"")
    named = record(0x18, struct.pack("<HBBHHHI", 0, 0, 1, len(name), 0, 0, 0) + b"\0n" + name) if name else b""
    named += b"".join(record(0xE0, struct.pack("<3H14x", 0, number, 0xFFF4)) for number in formats)
    rows = b"".join(
        record(0x203, struct.pack("<3Hd", row, at, row if formats else 0, value)) for row, at, value in cells
    )
    place = len(begin(5)) + len(record(0x85, bytes(12))) + len(named) + len(end)
    sheet = record(0x85, struct.pack("<I4B", place, 0, 0, 4, 0) + b"Data")
    for area in merged or ():
        rows += record(0xE5, struct.pack("<5H", 1, *area))
    return begin(5) + sheet + named + end + begin(0x10) + rows + end


def test_an_old_workbook_with_a_name_that_xlrd_does_not_know_is_read():
    """Cells are numbers without a style that is there, and a name is a formula of an area that is relative."""
    found = reading("old_sheets", old_book((0, 0, 1.5), (2, 1, 2), name=b"\x2d" + bytes(8)))
    assert found.text == "[sheet 'Data']\n,A,B,C,D,E,F,G,H\n1,1.5\n3,,2"


def test_an_old_workbook_whose_cells_are_far_apart_costs_little():
    """As long as every row was filled up with empty cells, this took ten seconds and 300 MB."""
    content = old_book((0, 0, 1), (65_535, 255, 7))
    used = time.process_time()
    assert reading("old_sheets", content).text.endswith("\n1,1\n65536,[IV65536:] 7")
    assert time.process_time() - used < 3


def wide(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def records(*found: tuple[int, bytes]) -> bytes:
    """Return the records of a binary part, kinds and sizes in bytes of seven bits."""

    def number(value: int) -> bytes:
        return bytes([value & 0x7F | 0x80, value >> 7]) if value > 0x7F else bytes([value])

    return b"".join(number(kind) + number(len(data)) + data for kind, data in found)


def cell(kind: int, at: int, data: bytes, style: int = 0) -> tuple[int, bytes]:
    return kind, struct.pack("<II", at, style) + data


def row(at: int, *, hidden: bool = False) -> tuple[int, bytes]:
    return 0, struct.pack("<IIHBB", at, 0, 300, 0, 0x10 * hidden) + bytes(5)


def binary_book(sheet: bytes, *, before: bytes = b"", used: tuple[int, ...] = (0, 10, 14, 164)) -> bytes:
    """Return a binary workbook; `before` stands between a sheet's state and its number, as the first Excel 2007 did."""
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"

    def relations(*found: tuple[str, str, str]) -> str:
        rows = (f'<Relationship Id="{name}" Type="{kind}{what}" Target="{target}"/>' for name, what, target in found)
        return f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{"".join(rows)}</Relationships>'

    formats = (44, struct.pack("<H", 164) + wide('#,##0.00\\ "€"')), (617, bytes(4))
    styles = records(*formats, *((47, struct.pack("<HH", 0, number) + bytes(12)) for number in used), (618, b""))
    sheets = (
        (156, struct.pack("<I", state) + before + struct.pack("<I", state + 1) + wide(f"r{state}") + wide(name))
        for state, name in enumerate(["Data", "Secret"])
    )
    return zipped({
        "xl/workbook.bin": records((153, bytes(12)), *sheets),
        "xl/_rels/workbook.bin.rels": relations(
            ("r0", "worksheet", "worksheets/sheet1.bin"), ("r1", "worksheet", "worksheets/sheet2.bin"),
            ("r2", "styles", "styles.bin"), ("r3", "sharedStrings", "sharedStrings.bin"),
        ),
        "xl/worksheets/sheet1.bin": sheet,
        "xl/worksheets/_rels/sheet1.bin.rels": relations(("c", "comments", "../comments1.bin")),
        "xl/worksheets/sheet2.bin": records(row(0), cell(6, 0, wide("x"))),
        "xl/comments1.bin": records((635, struct.pack("<5I", 0, 2, 2, 1, 1) + bytes(16)), (637, b"\0" + wide("estimate"))),
        "xl/styles.bin": styles,
        "xl/sharedStrings.bin": records((19, b"\0" + wide("Größe")), (19, b"\0" + wide("second"))),
    })  # fmt: skip


def test_a_binary_workbook_is_what_its_program_shows():
    real = struct.Struct("<d").pack
    sheet = records(
        (60, struct.pack("<IIIIB", 3, 3, 0, 0, 1) + b"\0"),
        row(0), cell(7, 0, struct.pack("<I", 0)), cell(5, 1, real(0.195), 1), cell(5, 2, real(46082), 2),
        row(2, hidden=True), cell(2, 1, struct.pack("<i", 123450 << 2 | 3), 3), cell(9, 2, real(-2.5) + bytes(8)),
        row(6), cell(4, 0, b"\1"), cell(3, 1, b"\x2a"), cell(8, 3, wide("from a formula") + bytes(8)),
        cell(2, 4, struct.pack("<i", struct.unpack("<i", real(1.5)[4:])[0])),
        (176, struct.pack("<4I", 0, 0, 0, 2)),
    )  # fmt: skip
    found = reading("binary_sheets", binary_book(sheet))
    assert found.remarks == "2 sheets; 1 hidden sheet"
    assert found.text.splitlines()[2:] == [
        "[sheet 'Data']", ",A,B,C,D,E,F,G,H", "1,Größe,19.50%,2026-03-01", '3,,"1,234.50 €",-2.5',
        "7,TRUE,#N/A,,from a formula,1.5", "[hidden rows: 3]", "[hidden columns: D]", "[merged: A1:C1]",
        "[comment B3: estimate]", "", "[sheet 'Secret' (hidden)]", ",A,B,C,D,E,F,G,H", "1,x",
    ]  # fmt: skip


def test_the_sheets_of_a_binary_workbook_of_the_first_excel_2007_are_named():
    found = reading("binary_sheets", binary_book(records(row(0), cell(6, 0, wide("x"))), before=bytes(4)))
    assert found.text.startswith("[2 sheets: 'Data', 'Secret' (hidden)]")
    assert "1,x" in found.text


@pytest.mark.parametrize("sheet", [b"\0\x05abc", records((0, b"")), records(cell(5, 0, b"\1")), b"\xff" * 3000])
def test_a_damaged_binary_workbook_breaks_nothing(sheet):
    found = reading("binary_sheets", binary_book(sheet))
    assert found.refusal or "[sheet 'Secret' (hidden)]" in found.text


ASIAN = {  # what Excel in Chinese, Japanese and Korean has built in: ECMA-376 part 1, 18.8.30
    **dict.fromkeys((27, 28, 29, 30, 31, 36, 50, 51, 54, 57, 58, 34, 35, 52, 53, 55, 56), (45000.0, "2023-03-15")),
    32: (0.75, "18:00"), 33: (0.75, "18:00:00"), 75: (0.75, "18:00"), 59: (5.4, "5"), 71: (45000, "2023-03-15"),
}  # fmt: skip
LATE = {34: "18:00", 35: "18:00:00", 52: "18:00", 53: "18:00:00", 55: "18:00", 56: "18:00:00"}  # as in Chinese


@pytest.mark.parametrize("task", ["xlsx", "old_sheets", "binary_sheets"])
def test_dates_of_an_asian_workbook_are_no_serial_numbers(task):
    """They have a number and no code, and of some the language decides whether they are times."""
    rows = [(number, *of) for number, of in ASIAN.items()] + [(number, 0.75, text) for number, text in LATE.items()]
    numbers = tuple(number for number, _, _ in rows)
    if task == "xlsx":
        plain = xlsx(*([value] for _, value, _ in rows))
        styles = "".join(f'<xf numFmtId="{number}"/>' for number in numbers)
        with zipfile.ZipFile(io.BytesIO(plain)) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        parts["xl/styles.xml"] = (
            f'<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><cellXfs>{styles}</cellXfs></styleSheet>'
        )
        sheet, place = parts["xl/worksheets/sheet1.xml"], itertools.count()
        parts["xl/worksheets/sheet1.xml"] = re.sub(
            rb'(?<=r="A)\d+"', lambda at: at[0] + b' s="%d"' % next(place), sheet
        )
        content = zipped(parts)
    elif task == "old_sheets":
        content = old_book(*((at, 0, value) for at, (_, value, _) in enumerate(rows)), formats=numbers)
    else:
        cells = ((row(at), cell(5, 0, struct.pack("<d", value), at)) for at, (_, value, _) in enumerate(rows))
        content = binary_book(records(*itertools.chain.from_iterable(cells)), used=numbers)
    lines = [line for line in reading(task, content).text.splitlines() if line[:1].isdigit()]
    assert lines[: len(rows)] == [f"{at},{text}" for at, (_, _, text) in enumerate(rows, 1)]


@pytest.mark.parametrize("task", ["xlsx", "old_sheets", "binary_sheets"])
def test_what_is_said_about_many_cells_is_counted(task):
    """Of a sheet, 500 of a kind are listed."""
    if task == "xlsx":

        def fill(_, sheet):
            for at in range(1, 603):
                sheet.cell(at, 1).comment = __import__("openpyxl.comments").comments.Comment("x", "R")
                sheet.merge_cells(start_row=at, end_row=at, start_column=2, end_column=3)

        found = reading(task, book(fill)).text
        assert found.count("[comment A") == 500
        assert "\n[comment: … and 102 more]" in found
    elif task == "old_sheets":
        areas = [(at, at, 1, 2) for at in range(602)]
        found = reading(task, old_book((0, 0, 1), merged=areas)).text
    else:
        areas = [(176, struct.pack("<4I", at, at, 1, 2)) for at in range(602)]
        found = reading(task, binary_book(records(row(0), cell(6, 0, wide("x")), *areas))).text
    assert found.count("[merged: B") == 500
    assert "\n[merged: … and 102 more]" in found


def test_every_sheet_has_its_share(monkeypatch):
    monkeypatch.setattr("staging.llm._converter.rows.MAX_CHARS", 120_000)

    def fill(workbook, sheet):
        for n in range(2000):
            sheet.append([f"row {n} of a long sheet"])
        workbook.create_sheet("Summary")["A1"] = "TOTAL"

    found = reading("xlsx", book(fill))
    assert "TOTAL" in found.text
    assert re.search(r"\[… the rows from \d+ on were not read …\]", found.text)


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (123456789, "000-00-0000", "123-45-6789"), (5, "000-00-0000", "000-00-0005"), (15551234567, "#(000) 000-0000", "1(555) 123-4567"),
        (0, '_-* "-"??_-', "-"), (0, "#", ""), (0.5, "#.0", ".5"), (0, "#,##0", "0"),
        (1234.5, "#,##0.00 [$€-407]", "1,234.50 €"), (-1234.5, '"$"#,##0.00;("$"#,##0.00)', "($1,234.50)"), (0.5, "0%", "50%"),
        (45000.75, "dd/mm/yyyy hh:mm", "2023-03-15 18:00"), (45000, "[$-409]mmmm d, yyyy", "2023-03-15"), (1.5, "[h]:mm", "36:00:00"),
        (0.5, "h:mm AM/PM", "12:00"), (1234567, '0.0,,"M"', "1.2M"), (7, "000", "007"), (0, '0.00;-0.00;"-"', "-"),
        (12345.678, "0.00E+00", "1.23E+04"), (3.5, "0.##", "3.5"), (5, '0 "days"', "5 days"), (0.1 + 0.2, "General", "0.3"),
        (42, "[Red]0", "42"), (42, "[Magenta]0", "42"), (1.5, "[mm]:ss", "36:00:00"), (-5, "0", "-5"), (1e20, "", "1e+20"), (1e300, "yyyy-mm-dd", "1e+300"), (float("inf"), "0", "inf"),
    ],
)  # fmt: skip
def test_numbers_are_shown_by_their_format(value, code, text):
    assert shown(value, code) == text


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (2.5, "0", "3"), (0.5, "0", "1"), (-2.5, "0", "-3"), (2.675, "0.00", "2.68"), (1.005, "0.00", "1.01"), (0.125, "0%", "13%"),
        (1.005, "#,##0.00 €", "1.01 €"), (0.285, '0.00" kg"', "0.29 kg"), (2500, "0,", "3"), (1234.5, "000-00", "012-35"), (12.5, "0E+00", "1E+01"),
        (1.25, "0.0E+00", "1.3E+00"), (9.96, "0.0E+00", "1.0E+01"), (12345, "##0.0E+0", "12.3E+3"), (0.00125, "0.0E-0", "1.3E-3"), (2e5, "0E-0", "2E5"), (1e300, "0", f"{10**300}"), (0, "0.00E+00", "0.00E+00"), (1e308, "0" + "%" * 500, "1e+308"), (5, "0" + "%" * 200, "5" + "0" * 400 + "%" * 200),
    ],
)  # fmt: skip
def test_a_half_is_rounded_up_as_excel_does(value, code, text):
    """Of the digits that a workbook keeps, not of the binary fraction that stands for them."""
    assert shown(value, code) == text


CLOCK = 83.456 / 86_400


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (CLOCK, "mm:ss.00", "00:01:23.46"), (CLOCK, "mm:ss.0", "00:01:23.5"), (CLOCK, "mmss.000", "00:01:23.456"), (CLOCK, "[mm]:ss.00", "0:01:23.46"),
        (CLOCK, "[ss].00", "0:01:23.46"), (CLOCK, "mm:ss", "00:01:23"), (-CLOCK, "[h]:mm:ss.0", "-0:01:23.5"), (45000.5 + CLOCK, "yyyy-mm-dd hh:mm:ss.0", "2023-03-15 12:01:23.5"),
        (59.996 / 86_400, "mm:ss.00", "00:01:00.00"), (0.999999999, "h:mm:ss", "00:00:00"),
        (45000.5, "aaaa", "2023-03-15 Wed"), (45000.5, '"("aaa")"', "2023-03-15 Wed"), (45000, "dddd", "2023-03-15 Wed"), (45000, "[$-411]dddd", "2023-03-15 Wed"),
        (45000, "m/d(aaa)", "2023-03-15 Wed"), (45000.75, "ddd hh:mm", "2023-03-15 Wed 18:00"), (45000, "dd.mm.yyyy", "2023-03-15"),
        (45000, '[$-411]ggge"年"', "2023-03-15"), (45000, "[$-411]e", "2023-03-15"), (45000, "bbbb", "2023-03-15"),
        (0.75, "h:mm AM/PM", "18:00"), (5, 'General" kg"', "5 kg"), (5, "[Red]General", "5"),
        (2_958_465.99999999, "yyyy-mm-dd", "2958465.99999999"),
    ],
)  # fmt: skip
def test_a_moment_has_the_fraction_and_the_weekday_that_its_format_shows(value, code, text):
    assert shown(value, code) == text


def test_a_day_that_is_counted_from_1904_is_the_same_day():
    assert shown(45000 - 1462, "yyyy-mm-dd", since_1904=True) == "2023-03-15"
    assert shown(2_958_000, "yyyy-mm-dd", since_1904=True) == "2958000"


SCALED = '[>=1000000]0.0,,"M";[>=1000]0.0,"K";0'
PHONE = "[<=9999999]###-####;(###) ###-####"


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (2_500_000, SCALED, "2.5M"), (1500, SCALED, "1.5K"), (999, SCALED, "999"), (0, SCALED, "0"), (-1500, SCALED, "-1500"),
        (5551234, PHONE, "555-1234"), (5551234567, PHONE, "(555) 123-4567"),
        (5, '[>=10]"big";[<10]"small"', "small"), (10, '[>=10]"big";[<10]"small"', "big"),
        (1, '[=1]0 "day";0 "days"', "1 day"), (2, '[=1]0 "day";0 "days"', "2 days"), (-2, '[=1]0 "day";0 "days"', "-2 days"),
        (3, '[<>0]"some";"none"', "some"), (0, '[<>0]"some";"none"', "none"), (0.5, "[Red][<1]0%;[Blue][>1]0.0", "50%"),
        (5, "[<= 1.5e1][Red]0.0;0", "5.0"), (-5, "[>=0]0;(0)", "(5)"), (-5, "[<0](0);0", "(5)"), (5, "[<0](0);0", "5"),
        (-5, '[>100]"high";"low" 0;0.0', "low 5"), (50, '[>100]"high";"low" 0;0.0', "50.0"), (-5, "[<10]0;0.0", "-5"),
        (0.5, "[<1]h:mm;yyyy-mm-dd", "12:00"), (45000, "[<1]h:mm;yyyy-mm-dd", "2023-03-15"),
        (5, '"[>9]"0;0.0', "[>9]5"), (5, '\\;0";";-0', ";5;"), (5, "0_;;-0", "5"), (-5, "0_;;-0", "-5"),
        # a condition that is not understood, or no section for the number
        (7, '[>=10]"big";[<5]"small"', "7"), (7, '[>=x]"big";"small"', "7"), (7, '[=>5]"big";"small"', "7"), (7, '[>>5]"big";"small"', "7"),
        (7, '[>=1,000]"big";"small"', "7"), (7, '[>1][<9]"one digit";"more"', "7"), (-7, '[>1]"more"', "-7"), (7, '[>]"a";"b"', "7"),
    ],
)  # fmt: skip
def test_the_condition_of_a_format_chooses_how_a_number_is_shown(value, code, text):
    assert shown(value, code) == text


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (42, ";;;", "42 (hidden by its format)"), (-1.5, ";;;", "-1.5 (hidden by its format)"), (0, ";;", "0 (hidden by its format)"),
        (42, ";", "42 (hidden by its format)"), (-7, "0;;", "-7 (hidden by its format)"), (7, "0;;", "7"), (0, "0;;", "0 (hidden by its format)"),
        (0, "0.00;-0.00;;@", "0 (hidden by its format)"), (3, "0.00;-0.00;;@", "3.00"), (-3, "0.00;-0.00;;@", "-3.00"), (-3, "0;", "-3 (hidden by its format)"),
        (5, '"";"";""', "5 (hidden by its format)"), (5, "[White]_);0", "5 (hidden by its format)"), (5, "[>1];0", "5 (hidden by its format)"),
        (0, "0;-0;@", "0"), (-5, "0;@", "-5"), (-5, "0.0;-0.0;@", "-5.0"), (0, '0;-0;"@"', "@"),
    ],
)  # fmt: skip
def test_a_number_that_its_format_hides_is_not_lost(value, code, text):
    assert shown(value, code) == text


# Slides


A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"'


def shape(text: str, kind: str = "") -> str:
    place = f'<p:nvSpPr><p:nvPr><p:ph type="{kind}"/></p:nvPr></p:nvSpPr>' if kind else ""
    return f"<p:sp>{place}<p:txBody>{''.join(f'<a:p><a:r><a:t>{t}</a:t></a:r></a:p>' for t in text.split('/'))}</p:txBody></p:sp>"


def test_a_slide_has_title_points_table_and_notes():
    table = (
        "<p:graphicFrame><a:tbl><a:tr><a:tc><a:p><a:r><a:t>x</a:t></a:r></a:p></a:tc></a:tr></a:tbl></p:graphicFrame>"
    )
    shapes = shape("Road/map", "title") + shape("one/two", "body") + table + shape("7", "sldNum")
    slide = f'<p:sld {A} show="0"><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:sld>'
    notes = f"<p:notes {A}><p:cSld><p:spTree>{shape('speak')}</p:spTree></p:cSld></p:notes>"
    found = reading("pptx", zipped({"ppt/slides/slide1.xml": slide, "ppt/notesSlides/notesSlide1.xml": notes}))
    assert found.text == "## Slide 1 (hidden): Road map\n\n- one\n- two\n\n| x |\n| --- |\n\n[notes: speak]"
    assert found.remarks == "1 slide; 1 hidden slide"


def slides(*trees: str, **parts: str) -> bytes:
    written = {
        f"ppt/slides/slide{n}.xml": f"<p:sld {A}><p:cSld><p:spTree>{tree}</p:spTree></p:cSld></p:sld>"
        for n, tree in enumerate(trees, 1)
    }
    return zipped({**written, **parts})


def test_what_stands_on_every_slide_is_shown_once():
    edges = shape("3 May", "dt") + shape("Acme/secret", "ftr") + shape("9", "sldNum")
    note = f"<p:notes {A}><p:cSld><p:spTree>{shape('speak')}{shape('Draft', 'hdr')}{shape('3 May', 'dt')}</p:spTree></p:cSld></p:notes>"
    notes = {f"ppt/notesSlides/notesSlide{n}.xml": note for n in (1, 2)}
    found = reading("pptx", slides(edges + shape("a"), shape("b") + edges, shape("Other", "ftr"), **notes))
    assert found.text == (
        "## Slide 1\n\n[date: 3 May]\n\n[footer: Acme secret]\n\na\n\n[notes: speak]\n\n[header: Draft]\n\n"
        "## Slide 2\n\nb\n\n[notes: speak]\n\n## Slide 3\n\n[footer: Other]"
    )


def test_entries_of_slides_have_their_numbers():
    """Deeper ones do not end a list; one without a number, or with another kind of number, does."""

    def entry(text: str, kind: str = "", level: int = 0, start: str = "") -> str:
        begins = f'startAt="{start}"' if start else ""
        mark = f'<a:buAutoNum type="{kind}" {begins}/>' if kind else "<a:buNone/>"
        return f'<a:p><a:pPr lvl="{level}">{mark}</a:pPr><a:r><a:t>{text}</a:t></a:r></a:p>'

    entries = (
        entry("a", "arabicPeriod", start="3"), entry("b", "alphaLcParenR", 1), entry("c", "alphaLcParenR", 1),
        entry("d", "arabicPeriod", start="3"), entry("e", "alphaLcParenR", 1), entry("f"),
        entry("g", "arabicPeriod", start="3"), entry("h", "romanUcParenBoth"), entry("i", "romanUcParenBoth"),
        entry("j", "alphaUcPeriod"), entry("k", "circleNumDbPlain", start="9" * 5000),
    )  # fmt: skip
    found = reading("pptx", slides(f"<p:sp><p:txBody>{''.join(entries)}</p:txBody></p:sp>"))
    assert found.text.splitlines()[2:] == [
        "3. a", "  a) b", "  b) c", "4. d", "  a) e", "f", "3. g", "(I) h", "(II) i", "A. j", "99999 k"
    ]  # fmt: skip


def test_a_vertical_tab_on_a_slide_is_the_end_of_a_line():
    found = reading("pptx", slides(shape("Road_x000B_map", "title") + shape("one_x000b_two")))
    assert found.text == "## Slide 1: Road map\n\none\ntwo"


# OpenDocument


ODF = "urn:oasis:names:tc:opendocument:xmlns:"
ODF_NAMES = " ".join(f'xmlns:{name}="{ODF}{name}:1.0"' for name in ("office", "text", "table", "style", "presentation"))
ODF_NAMES += f' xmlns:draw="{ODF}drawing:1.0" xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:dc="http://purl.org/dc/elements/1.1/"'


def odf(kind: str, body: str, styles: str = "", **parts: str) -> bytes:
    content = (
        f"<office:document-content {ODF_NAMES}><office:automatic-styles>{styles}</office:automatic-styles><office:body>"
    )
    content += f"{body}</office:body></office:document-content>"
    return zipped({"mimetype": f"application/vnd.oasis.opendocument.{kind}", "content.xml": content, **parts})


HIDING = '<style:style style:name="H"><style:text-properties text:display="none"/></style:style>'
TEXTS = {
    "heading": ('<text:h text:outline-level="2">Scope</text:h>', "## Scope"),
    "list": ("<text:list><text:list-item><text:p>one</text:p></text:list-item></text:list>", "- one"),
    "link": ('<text:p><text:a xlink:href="https://x/y">here</text:a></text:p>', "[here](https://x/y)"),
    "spaces": ("<text:p>a<text:s text:c='3'/>b<text:tab/>c<text:line-break/>d</text:p>", "a   b\tc\nd"),
    "note": ("<text:p>a<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>n</text:p></text:note-body>"
             "</text:note></text:p>", "a[^1]\n\n[^1]: n"),
    "comment": ("<text:p>a<office:annotation><dc:creator>R</dc:creator><text:p>why</text:p></office:annotation></text:p>",
                "a[comment by R: why]"),
    "table": ("<table:table><table:table-row><table:table-cell><text:p>x</text:p></table:table-cell></table:table-row></table:table>",
              "| x |\n| --- |"),
    "hidden": ('<text:p>a<text:span text:style-name="H">obey</text:span></text:p>', "a"),
    "deleted": ("<text:tracked-changes><text:changed-region><text:deletion><text:p>GONE</text:p></text:deletion>"
                "</text:changed-region></text:tracked-changes><text:p>a</text:p>", "a"),
    "box once": ("<text:p>a<draw:frame><draw:text-box><text:p>box</text:p></draw:text-box></draw:frame></text:p>", "a\n\nbox"),
}  # fmt: skip


def test_signs_of_an_open_document_are_those_of_their_font():
    """A span has the font of its own style, of one above it, or of its paragraph."""
    styles = "<style:font-face style:name='Symbol1' style:font-family=\"'Symbol'\"/>"
    styles += "<style:style style:name='S'><style:text-properties style:font-name='Symbol1'/></style:style>"
    styles += "<style:style style:name='T' style:parent-style-name='S'/><style:style style:name='W'><style:text-properties font-family='Wingdings'/></style:style>"
    body = "<text:p>a <text:span text:style-name='T'>\uf0a3</text:span> b \uf0fe</text:p>"
    body += "<text:p text:style-name='S'>\uf061<text:span text:style-name='W'>\uf0fe</text:span><text:span>\uf062</text:span></text:p>"
    found = reading("odf", odf("text", f"<office:text>{body}</office:text>", styles))
    assert (found.text, found.remarks) == ("a ≤ b \ufffd\n\nα☑β", "1 sign of unknown fonts shown as \ufffd")


def test_lists_of_an_open_document_count_as_its_program_does():
    """The second level has bullets. An entry that only holds a list has no number."""
    levels = "".join(
        f'<text:list-level-style-{kind} text:level="{at}"/>' for at, kind in ((1, "number"), (2, "bullet"))
    )
    levels += '<text:list-level-style-number text:level="3" text:start-value="4"/>'
    styles = f'<text:list-style style:name="L">{levels}</text:list-style>'

    def entries(text: str, more: str = "") -> str:
        return "".join(f"<text:list-item{more}><text:p>{word}</text:p></text:list-item>" for word in text.split())

    def inner(text: str) -> str:
        return f"<text:list-item><text:list>{text}</text:list></text:list-item>"

    def numbered(text: str, more: str = "") -> str:
        return f'<text:list text:style-name="L"{more}>{text}</text:list>'

    body = (
        numbered(entries("a b"), ' xml:id="one"')
        + "<text:p>mid</text:p>"
        + numbered(
            entries("c") + inner(entries("d") + inner(entries("e f"))) + entries("g"), ' text:continue-numbering="true"'
        )
    )
    body += (
        numbered(entries("h"))
        + numbered(entries("i"), ' text:continue-list="one"')
        + numbered(entries("j", ' text:start-value="7"') + entries("k"))
    )
    found = reading("odf", odf("text", f"<office:text>{body}</office:text>", styles))
    assert found.text == "1. a\n2. b\n\nmid\n\n3. c\n  - d\n    4. e\n    5. f\n4. g\n\n1. h\n\n5. i\n\n7. j\n8. k"


def test_what_is_hidden_in_an_open_document_is_left_out_and_counted():
    hides = '<style:style style:name="{}" style:parent-style-name="{}">{}</style:style>'
    styles = HIDING + hides.format("P", "H", "") + hides.format("Q", "P", "<style:text-properties/>")
    styles += hides.format("S", "P", '<style:text-properties text:display="true"/>') + hides.format("R", "R", "")
    field = "<text:hidden-paragraph text:is-hidden='{}'/>"
    body = (
        "<text:section text:display='none'><text:h>one</text:h><text:p>two</text:p></text:section>"
        "<text:section text:display='condition' text:is-hidden='true'><text:p>three</text:p></text:section>"
        "<text:section text:display='condition'><text:p>A</text:p></text:section>"
        f"<text:p>four{field.format('true')}</text:p><text:p>B{field.format('false')}</text:p>"
        "<text:p text:style-name='Q'>five<text:note><text:note-body><text:p>note</text:p></text:note-body></text:note></text:p>"
        "<text:p text:style-name='R'>C<text:span text:style-name='P'>six</text:span></text:p><text:p text:style-name='S'>D</text:p>"
        "<text:p>E<text:hidden-text text:is-hidden='false' text:string-value='F'/></text:p>"
    )
    found = reading("odf", odf("text", f"<office:text>{body}</office:text>", styles))
    assert (found.text, found.remarks) == ("A\n\nB\n\nC\n\nD\n\nEF", "26 characters of hidden text left out")


@pytest.mark.parametrize("what", TEXTS)
def test_an_open_document_is_what_its_program_shows(what):
    body, text = TEXTS[what]
    assert reading("odf", odf("text", f"<office:text>{body}</office:text>", HIDING)).text == text


def test_an_open_spreadsheet_has_row_numbers_and_formulas():
    cell = "<table:table-cell{}><text:p>{}</text:p></table:table-cell>"
    rows = (
        f"<table:table-row>{cell.format('', '19%')}<table:table-cell table:number-columns-repeated='2'/>{cell.format('', 'end')}"
        "</table:table-row><table:table-row table:number-rows-repeated='38'><table:table-cell/></table:table-row>"
        "<table:table-row><table:table-cell table:formula='of:=[.A1]*2'/></table:table-row>"
    )
    sheet = f"<table:table table:name='S'>{rows}</table:table>"
    found = reading("odf", odf("spreadsheet", f"<office:spreadsheet>{sheet}</office:spreadsheet>"))
    assert found.text.splitlines()[2:] == ["1,19%,,,end", "40,=[.A1]*2"]


def sheet_of_odf(rows: str) -> list[str]:
    sheet = f"<office:spreadsheet><table:table table:name='S'>{rows}</table:table></office:spreadsheet>"
    return reading("odf", odf("spreadsheet", sheet)).text.splitlines()[1:]


def test_a_cell_of_an_open_spreadsheet_without_text_has_its_value():
    values = (
        "value='42'",
        "string-value='words'",
        "date-value='2026-03-01'",
        "time-value='PT09H30M00S'",
        "boolean-value='true'",
    )
    cells = "".join(f"<table:table-cell office:{value}/>" for value in values)
    formula = "<table:table-cell table:formula='of:=[.A1]*2' office:value='84'/>"
    lines = sheet_of_odf(f"<table:table-row>{cells}{formula}</table:table-row>")
    assert lines[1] == "1,42,words,2026-03-01,PT09H30M00S,TRUE,84"


def test_equal_rows_and_cells_of_an_open_spreadsheet_that_are_not_written_are_told():
    cell = "<table:table-cell{}><text:p>{}</text:p></table:table-cell>"
    many = f"<table:table-row table:number-rows-repeated='5000'>{cell.format('', 'r')}</table:table-row>"
    twelve_hundred = ' table:number-columns-repeated="1200"'
    wide = f"<table:table-row>{cell.format(twelve_hundred, 'c')}{cell.format('', 'end')}</table:table-row>"
    lines = sheet_of_odf(many + wide)
    assert lines[1000].startswith("1000,r")
    assert lines[1001].startswith("5001,c,c,")
    assert lines[1001].endswith(",c,[ATE5001:] end")
    assert lines[1002:] == [
        "[rows 1,001 to 5,000 are the same as row 1,000]",
        "[row 5,001: ALM to ATD are the same as ALL]",
    ]


def test_hidden_columns_of_an_open_spreadsheet_are_named():
    columns = "<table:table-column/><table:table-column-group><table:table-column table:visibility='collapse'"
    columns += (
        " table:number-columns-repeated='2'/></table:table-column-group><table:table-column table:visibility='filter'/>"
    )
    cell = "<table:table-row><table:table-cell><text:p>x</text:p></table:table-cell></table:table-row>"
    assert sheet_of_odf(columns + cell)[1:] == ["1,x", "[hidden columns: B to D]"]


def test_a_slide_of_an_open_presentation_has_its_title():
    frame = "<draw:frame{}><draw:text-box><text:p>{}</text:p></draw:text-box></draw:frame>"
    title = frame.format(' presentation:class="title"', "Plan")
    slides = (
        f'<draw:page draw:name="page1">{title}{frame.format("", "point")}</draw:page><draw:page draw:name="Costs"/>'
    )
    assert reading("odf", odf("presentation", slides)).text == "## Slide 1: Plan\n\npoint\n\n## Slide 2: Costs"


OLD_DOCTYPE = '<!DOCTYPE manifest:manifest PUBLIC "-//OpenOffice.org//DTD Manifest 1.0//EN" "Manifest.dtd"{}>'


def test_a_document_of_openoffice_2_names_its_document_type():
    """That declares nothing, other than one with entities of its own."""
    manifest = XML + "{}<manifest xmlns='urn:oasis:names:tc:opendocument:xmlns:manifest:1.0'/>"
    parts = {"META-INF/manifest.xml": manifest.format(OLD_DOCTYPE.format(""))}
    assert reading("odf", odf("text", "<office:text><text:p>words</text:p></office:text>", **parts)).text == "words"
    parts = {"META-INF/manifest.xml": manifest.format(OLD_DOCTYPE.format(' [<!ENTITY a "b">]'))}
    assert reading("odf", odf("text", "<office:text><text:p>words</text:p></office:text>", **parts)).refusal.startswith(
        "it declares"
    )


def moved(content: bytes, folder: str, main: str) -> bytes:
    """Return an Office document without the usual folder, whose relation tells the main part."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = {name: name.replace(f"{folder}/", "").replace(main, f"other{main[-4:]}") for name in archive.namelist()}
        parts = {moved: archive.read(name).replace(b"/xl/", b"/") for name, moved in names.items()}
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
    relation = f'<Relationship Id="r" Type="{kind}" Target="/other{main[-4:]}"/>'
    parts["_rels/.rels"] = (
        f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{relation}</Relationships>'
    ).encode()
    return zipped(parts)


@pytest.mark.parametrize(
    ("task", "content", "text"),
    [
        ("docx", moved(docx(), "word", "document.xml"), "Hello"),
        ("xlsx", moved(xlsx(["in a cell"]), "xl", "workbook.xml"), "1,in a cell"),
        (
            "binary_sheets",
            moved(binary_book(records(row(0), cell(6, 0, wide("word")))), "xl", "workbook.bin"),
            "1,word",
        ),
    ],
)
def test_the_main_part_is_where_the_package_says(task, content, text):
    assert text in reading(task, content).text


def test_an_encrypted_open_document_says_so():
    manifest = f'<m:manifest xmlns:m="{ODF}manifest:1.0"><m:file-entry><m:encryption-data/></m:file-entry></m:manifest>'
    content = odf("text", "<office:text/>", **{"META-INF/manifest.xml": manifest})
    assert reading("odf", content).refusal == "it is encrypted (password-protected)"


# Both loops, the whole way


async def test_documents_reach_the_model(tmp_path):
    stage = stage_of(
        tmp_path, ("a.docx", word(TABLE)), ("b.xlsx", xlsx(["n", 2])), ("c.odt", odf("text", "<text:p>words</text:p>"))
    )
    prompt = await llm.prompt(stage)
    assert "'a.docx' (a document as Markdown):]\n```markdown\n| Region | Units |" in prompt
    assert "'b.xlsx' (sheets as CSV with row numbers):]\n```csv\n[sheet 'Sheet']" in prompt
    assert "'c.odt' (a document as Markdown):]\n```markdown\nwords\n```" in prompt
