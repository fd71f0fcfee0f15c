"""Law: intake is total. Whatever a sender or a platform puts into a source, each thing in it becomes one attachment.

It has the declared types, and there is a URL, bytes, or one line without secrets that says why there is no file.
"""

import types
from collections.abc import Mapping
from typing import get_args

from hypothesis import example, given
from hypothesis import strategies as st

from staging._claims.intake import intake, unusable
from staging._download import display_name
from staging._errors import RejectedError
from staging._log import log_outcome
from staging._models import Attachment, Kind, failure

KEYS = (
    "url", "url_private", "url_private_download", "contentUrl", "content_url", "content", "downloadUrl", "image_url",
    "filename", "file_name", "name", "title", "content_type", "contentType", "media_type", "mimetype", "mime_type",
    "type", "kind", "size", "file_size", "description", "alt_text", "headers", "file_path", "file_id", "id", "mode",
    "file_access", "format_type", "attachments", "message_snapshots", "snapshots", "message", "message_id", "chat",
    "photo", "document", "files", "data", "resolved", "application_id", "fallback", "read", "file",
    "embeds", "stickers", "sticker_items", "components", "items", "children", "accessory", "media", "messages",
    "referenced_message", "reference", "reply_to_message", "from_url", "event", "result", "role", "update_id",
    "NumMedia", "MediaUrl0", "payload", "source", "body", "inline_data", "blob", "uri", "text", "attachment", "blocks",
    "msgtype", "info", "closed", "stream", "path", "format", "title_link", "title_link_download", "lists", "key",
)  # fmt: skip


class Hostile:
    """Every attribute raises, and so does every conversion; its repr would tell a secret on two lines."""

    def __getattribute__(self, name):
        if name in {"__class__", "__dict__"}:  # what Python and hypothesis ask of everything
            return super().__getattribute__(name)
        raise RuntimeError(name)

    def __str__(self):
        raise RuntimeError("str")

    __len__ = __bool__ = __iter__ = __eq__ = __hash__ = __next__ = __fspath__ = __call__ = __str__

    def __repr__(self):
        return "s3cret\n"


class Liar:
    """Its class cannot be asked for, and its attributes are of no use."""

    @property
    def __class__(self):
        raise RuntimeError("class")

    def __getattr__(self, name):
        return Hostile()


class Torn:
    """Iterates for a while."""

    def __iter__(self):
        yield "https://example.com/first"
        raise RuntimeError("s3cret")


class HostileMapping(dict):
    """Has nothing, and raises when it is asked."""

    def get(self, key, default=None):
        raise RuntimeError(key)

    keys = values = items = __iter__ = __len__ = get

    def _repr_pretty_(self, printer, cycle):  # hypothesis would ask for its items
        printer.text("HostileMapping()")


surrogates = st.text(st.characters(codec=None, categories=("L", "N", "P", "Z", "C")), max_size=30)
plain = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.binary(max_size=5)
    | surrogates
    | st.builds(pow, st.just(10), st.just(5000))  # Python refuses to print it
    | st.sampled_from(["image", "embed", "rich", "image/png", "a.png", 3, "12", "https://x/y", "data:,x", "tombstone"])
)
objects = st.builds(Hostile) | st.builds(Torn) | st.builds(HostileMapping)
junk = st.recursive(
    plain | objects,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(surrogates | st.sampled_from(KEYS), inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4).map(lambda values: types.SimpleNamespace(**values))
    ),
    max_leaves=8,
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


def judge(attachment):
    """Fail unless an attachment is of use, or says on one line why it is not."""
    assert is_well_typed(attachment)
    assert repr(attachment).isprintable()
    assert display_name(attachment).isprintable()
    problem = unusable(attachment)
    if problem is None:
        return
    assert isinstance(problem, RejectedError)
    assert problem.reason == "invalid"
    for text in (problem.detail, problem.hint):
        assert text.isprintable()
        assert len(text) < 400
        assert "s3cret" not in text
    failed = failure(attachment, display_name(attachment), problem)
    log_outcome(failed)
    assert repr(failed).isprintable()


@given(st.text(min_size=1).filter(str.strip), claims, shapes)
def test_whatever_has_a_url_gives_one_well_typed_attachment(url, values, shape):
    for key in ("content", "image_url", "contentUrl"):
        values.pop(key, None)  # they may have another
    source = shape({**{str(key): value for key, value in values.items()}, "url": url})
    (attachment,) = intake(source)
    assert attachment.url == url
    assert attachment.source is source
    judge(attachment)
    assert intake([source], attachment) == [attachment, attachment]


@given(junk | claims)
@example([Hostile()])
@example(HostileMapping())
@example([Torn(), "https://example.com/second"])
def test_nothing_that_is_inside_a_source_raises(source):
    """An argument itself may be a number, which can be no source; inside a list a platform has put it there."""
    for holder in ([source], {"attachments": [source]}, types.SimpleNamespace(attachments=[source])):
        for attachment in intake(holder):
            judge(attachment)


@given(junk)
def test_a_mapping_is_never_a_path_or_a_reader(source):
    for attachment in intake({"attachments": [source]}):
        assert not hasattr(attachment.source, "__fspath__") or unusable(attachment) is not None


def test_an_object_that_has_no_class_to_be_asked_for_is_one_attachment():
    for source in (Liar(), [Liar()], {"attachments": [Liar()]}):
        (attachment,) = intake(source)
        judge(attachment)


def test_what_raises_in_the_middle_fails_in_place_of_the_rest():
    first, torn, second = intake([Torn(), "https://example.com/second"])
    assert (first.url, second.url) == ("https://example.com/first", "https://example.com/second")
    assert "cannot be read" in unusable(torn).detail


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
