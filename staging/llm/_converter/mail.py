"""Read mail and saved pages in MIME (RFC 5322, RFC 2045, RFC 2557).

The result has the header fields, the text and the list of attached files.
"""

import contextlib
import email
import email.errors
import email.header
import email.message
import re
from collections import Counter
from collections.abc import Iterator
from html import unescape
from typing import IO

from staging.llm._converter import markdown, page
from staging.llm._converter.detection import decoded
from staging.llm._converter.output import DEEP, Output

_HEADS = ("From", "To", "Cc", "Reply-To", "Date", "Subject")
_DEEPEST = 8  # mails within mails
_MOST_PARTS = 2000
_TEXTS = {"text/plain", "text/html", "text/enriched"}  # the forms in which mail programs write what is said
_FEW_WORDS = 20
_MARKUP = re.compile(  # each alternative matches up to the end of the text at last, so nothing is looked at twice
    # numbers that are no character make `unescape` raise
    r"<(style|script|title)\b.*?(?:</\1|\Z)|<!--.*?(?:-->|\Z)|<[^>]*(?:>|\Z)|&#[0-9]{8,}",
    re.DOTALL | re.IGNORECASE,
)
_WITHIN_WORDS = re.compile(  # what ends no word
    r"</?(?:b|em|font|i|s|small|span|strong|u|wbr)(?=[\s/>])[^<>]*>|&shy;|[\xad\u200b]", re.IGNORECASE
)
_WORD = re.compile("[^\\W\u2e80-\ud7ff]+|[\u2e80-\ud7ff]")


def read(source: IO[bytes], out: Output) -> None:
    """Write the mail."""
    attached: list[str] = []
    left_out: Counter[str] = Counter()
    try:
        message = email.message_from_bytes(source.read())
        text = "".join(_written(message, attached, left_out, 0))
    except RecursionError:
        out.refuse(DEEP)
    if attached:
        out.remark(f"{len(attached):,} attached file{'s' * (len(attached) != 1)} not shown")
    page.tell(left_out, out)
    out.text(text)
    if attached:
        out.text("\n[attached:]\n" + "".join(markdown.item(line) for line in attached))


def _written(message: email.message.Message, attached: list[str], left_out: Counter[str], depth: int) -> Iterator[str]:
    heads = [f"{name}: {value}\n" for name in _HEADS if (value := _head(message, name))]
    yield "".join(heads) + ("\n" if heads else "")
    yield from _body(message, attached, left_out, depth)


def _body(
    message: email.message.Message, attached: list[str], left_out: Counter[str], depth: int, *, beside: bool = False
) -> Iterator[str]:
    """Yield the text of a part, and list its files.

    Args:
        message: the part.
        attached: the list.
        left_out: takes what is left out of pages.
        depth: how deep the part lies.
        beside: whether the text is that of an alternative which is shown already. Then it is left out.
    """
    kind = message.get_content_type()
    if len(attached) > _MOST_PARTS or depth > 4 * _DEEPEST:
        return
    if kind == "message/rfc822" and depth < _DEEPEST:
        for inner in _parts(message):
            name = markdown.one_line(_name(message))
            yield f"\n[forwarded mail{' ' * bool(name)}{name}:]\n"
            yield from _written(inner, attached, left_out, depth + 4)
    elif message.is_multipart():
        shown = _shown(message) if kind == "multipart/alternative" and not beside else []
        for inner in _parts(message):
            hides = beside or (bool(shown) and inner not in shown)
            yield from _body(inner, attached, left_out, depth + 1, beside=hides)
    else:
        is_cut = message.get_content_maintype() == "multipart" and not beside  # without its boundary, it is one text
        is_named = beside and _name(message)  # a text with a name is a file
        if not (is_cut or kind in _TEXTS) or is_named or message.get_content_disposition() == "attachment":
            size = len(message.get_payload(decode=True) or b"")
            attached.append(f"{_name(message) or 'without a name'} ({kind}, {size:,} bytes)")
        elif not beside:
            words = _text(message)
            if kind == "text/html":
                with contextlib.suppress(ImportError):  # without the extra, a page is shown as it is written
                    words = page.fragment(words, left_out)
            yield words + "\n"


def _shown(message: email.message.Message) -> list[email.message.Message]:
    """Return the alternatives whose text is shown, none if there are attached files alone.

    It is the plain one if that has most words of the other, and is no part of it. Else it is the other, and both if
    each says its own.
    """
    parts = [part for part in _parts(message) if part.get_content_disposition() != "attachment"]
    kinds = {part.get_content_type(): part for part in reversed(parts)}
    plain, rich = kinds.get("text/plain"), kinds.get("text/html")
    wholes = [part for part in parts if part.get_content_maintype() == "multipart"]
    held = (part for part in wholes if not _TEXTS.isdisjoint(inner.get_content_type() for inner in part.walk()))
    rich = rich or next(held, None)
    if plain is None or rich is None:
        return list(filter(None, [plain or rich])) or parts[-1:]
    words, others = _words_in(plain), _words_in(rich)
    if words < others:
        return [rich]
    shared = 2 * len(words & others)
    if words and shared >= len(others):
        return [plain]
    only_refers = len(words) < _FEW_WORDS and len(others) > 4 * len(words)
    return [rich] if only_refers or shared >= len(words) else [plain, rich]


def _words_in(message: email.message.Message) -> set[str]:
    """Return the words of a part, where each ideograph is one."""
    texts = [_text(part) for part in message.walk() if part.get_content_type() in _TEXTS and not _name(part)]
    text = _WITHIN_WORDS.sub("", " ".join(texts))
    return set(_WORD.findall(unescape(_MARKUP.sub(" ", text)).lower()))


def _parts(message: email.message.Message) -> list[email.message.Message]:
    payload = message.get_payload() if message.is_multipart() else []
    return [part for part in payload if isinstance(part, email.message.Message)]


def _text(message: email.message.Message) -> str:
    data = message.get_payload(decode=True)
    charset = ""
    with contextlib.suppress(ValueError):  # a charset in the form of RFC 2231 may name one with NUL in it
        charset = message.get_content_charset() or ""
    return decoded(data, charset)[0] if isinstance(data, bytes) else ""


def _head(message: email.message.Message, name: str) -> str:
    """Return a header field as words."""
    return markdown.one_line(", ".join(map(_words, message.get_all(name, [])[:5])))[:2000]


def _words(value: str | email.header.Header) -> str:
    """Return a header field or a name as words (RFC 2047).

    Raw bytes are decoded in the encoding that the text most likely has. What is no encoded word stays as it is.
    """
    try:
        parts = email.header.decode_header(value)
    except (email.errors.HeaderParseError, ValueError):
        parts = [(str(value), None)]
    return "".join(_part(data, charset) for data, charset in parts)


def _part(data: str | bytes, charset: str | None) -> str:
    if isinstance(data, str):
        if not any("\ud800" <= c <= "\udfff" for c in data):
            return data  # it is decoded already
        data = data.encode("utf-8", "surrogateescape")
    return decoded(data, "" if charset in {None, "unknown-8bit"} else charset or "")[0]


def _name(message: email.message.Message) -> str:
    """Return the name of an attached file, which may be empty.

    The charset of a name in the form of RFC 2231 is looked up here: with `get_filename`, some charsets raise.
    """
    for field in ("Content-Disposition", "Content-Type"):
        if isinstance(value := message[field], email.header.Header):  # raw bytes, which `get_param` would replace
            message.replace_header(field, _words(value))
    name = message.get_param("filename", header="Content-Disposition") or message.get_param("name") or ""
    if isinstance(name, tuple):  # each character is a byte, unless raw letters stand among them
        charset, _, text = name
        return _part(text.encode("utf-8" if max(text, default="") > "\xff" else "latin-1"), charset).strip()
    return _words(name).strip()
