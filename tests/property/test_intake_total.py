"""Law: intake is total. A source with a URL gives one attachment of the declared types, whatever else it claims.

Anything else is refused on one line without secrets.
"""

import re
import types
from collections.abc import Mapping
from typing import get_args

from hypothesis import example, given
from hypothesis import strategies as st

from staging._claims.intake import intake, unusable
from staging._models import Attachment, Kind

KEYS = (
    "url", "url_private", "url_private_download", "filename", "file_name", "name", "title", "content_type",
    "media_type", "mimetype", "mime_type", "type", "kind", "size", "file_size", "description", "alt_text", "headers",
    "file_path", "id", "format_type", "attachments", "message_snapshots", "snapshots", "message",
)  # fmt: skip


class Hostile:
    """Every attribute raises, and so does every conversion; its repr would tell a secret on two lines."""

    def __getattribute__(self, name):
        if name.startswith("_"):  # what Python and hypothesis ask of everything
            return super().__getattribute__(name)
        raise RuntimeError(name)

    def __str__(self):
        raise RuntimeError("str")

    __len__ = __bool__ = __str__

    def __repr__(self):
        return "s3cret\n"


surrogates = st.text(st.characters(codec=None, categories=("L", "N", "P", "Z", "C")), max_size=30)
junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.binary(max_size=5)
    | surrogates
    | st.builds(pow, st.just(10), st.just(5000))  # Python refuses to print it
    | st.sampled_from([Hostile(), "image", "embed", "rich", "image/png", "a.png", 3, "12", "https://x/y"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(surrogates, inner, max_size=3),
    max_leaves=4,
)
claims = st.dictionaries(st.sampled_from(KEYS), junk, max_size=len(KEYS)) | st.dictionaries(
    surrogates, junk, max_size=5
)
shapes = st.sampled_from([dict, types.MappingProxyType, lambda values: types.SimpleNamespace(**values)])


def is_well_typed(attachment):
    """Tell whether every field holds what its annotation says."""
    texts = (attachment.name, attachment.media_type, attachment.description)
    return (
        type(attachment.url) is str
        and all(text is None or (type(text) is str and text.strip()) for text in texts)
        and attachment.kind in get_args(Kind)
        and (attachment.size is None or (type(attachment.size) is int and 0 <= attachment.size < 2**63))
        and isinstance(attachment.headers, Mapping)
    )


@given(st.text(min_size=1).filter(str.strip), claims, shapes)
def test_whatever_has_a_url_gives_one_well_typed_attachment(url, values, shape):
    source = shape({**{str(key): value for key, value in values.items()}, "url": url})
    (attachment,) = intake(source)
    assert attachment.url == url
    assert attachment.source is source
    assert is_well_typed(attachment)
    problem = unusable(attachment)
    assert problem is None or "header" in problem
    assert repr(attachment).isprintable()
    assert intake([source], attachment) == [attachment, attachment]


@given(claims | junk, shapes)
@example(Hostile(), None)
@example([Hostile()], None)
def test_whatever_has_none_is_refused_on_one_line(source, shape):
    if isinstance(source, dict):
        source = shape({str(key): value for key, value in source.items()})
    try:
        found = intake(source)
    except (TypeError, ValueError) as error:
        text = str(error)
        assert text.isprintable()
        assert len(text) < 300
        assert "s3cret" not in text
    else:
        assert all(is_well_typed(attachment) for attachment in found)


@given(st.lists(st.integers(0, 99), max_size=8), st.randoms(use_true_random=False))
def test_nesting_changes_neither_order_nor_number(numbers, random):
    flat = [f"https://example.com/{number}" for number in numbers]
    nested: list = []
    for url in flat:
        wrapped = random.choice([url, {"url": url}, Attachment(url), types.SimpleNamespace(url=url)])
        for _ in range(random.randrange(5)):
            wrapped = random.choice([[wrapped], (wrapped,), iter([wrapped]), {"attachments": [wrapped]}, [[], wrapped]])
        nested.append(wrapped)
    assert [attachment.url for attachment in intake(*nested)] == flat


header_names = surrogates | st.integers() | st.sampled_from(["Authorization", "X-Y\n", b"X"])
by_hand = st.builds(
    Attachment,
    st.just("https://u:p@example.com/?s3cret") | junk,
    name=junk,
    kind=junk | st.just("file"),
    media_type=junk,
    size=junk,
    description=junk,
    headers=st.dictionaries(header_names, junk | st.sampled_from(["fine", "s3cret\n"]), max_size=3),
)


@given(by_hand)
def test_what_is_wrong_with_an_attachment_is_one_line_without_secrets(attachment):
    problem = unusable(attachment)
    if problem is None:
        texts = (attachment.url, attachment.name or "", attachment.media_type or "", attachment.description or "")
        assert all(isinstance(text, str) for text in texts)
        assert attachment.kind in get_args(Kind)
        assert attachment.size is None or 0 <= attachment.size < 2**63
        assert all(re.fullmatch("[^\\0\\r\\n]*", text) for item in attachment.headers.items() for text in item)
    else:
        assert problem.isprintable()
        assert len(problem) < 300
        assert "s3cret" not in problem
