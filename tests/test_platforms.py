"""What other chats, models and web frameworks give: found, or refused with a word that helps.

The payloads follow the platforms' own references. Where a link has to be asked for first, or lacks its server, the
outcome says so, and the log says what to do.
"""

import io
from collections import namedtuple
from email.message import EmailMessage
from types import SimpleNamespace

import pytest

from staging import RejectedError, UrlPolicy
from staging._claims.intake import intake, unusable

PNG = "iVBORw0KGgo="
URL = "https://files.example/one.png"
CHAT = {"message_id": 1, "chat": {"id": 2}, "date": 3}
SLACK_FILE = {"id": "F2", "name": "one.png", "url_private": URL}


def found(source):
    return [(each.url, each.name, each.media_type, each.kind) for each in intake(source)]


# ── what is found ────────────────────────────────────────────────────────────────────────────────────────────────────


GOOGLE = {
    "name": "spaces/a/messages/b/attachments/c", "contentName": "one.png", "contentType": "image/png",
    "attachmentDataRef": {"resourceName": "x"}, "downloadUri": URL, "source": "UPLOADED_CONTENT",
}  # fmt: skip
LINE = {"type": "image", "id": "1", "contentProvider": {"type": "external", "originalContentUrl": URL}}
TWILIO = {"NumMedia": "2", "MediaUrl0": URL, "MediaContentType0": "image/png", "MediaUrl1": URL + "2", "Body": "x"}
MESSENGER = {"mid": "m", "attachments": [{"type": "image", "payload": {"url": URL}}]}


@pytest.mark.parametrize(("source", "expected"), [
    # chats
    (GOOGLE, [(URL, "one.png", "image/png", "image")]),
    ({"name": "spaces/a/messages/b", "text": "", "attachment": [GOOGLE]}, [(URL, "one.png", "image/png", "image")]),
    ({"type": "picture", "media": URL, "file_name": "a.png", "thumbnail": "x"}, [(URL, "a.png", None, "image")]),
    ({"event": "message", "message": {"type": "file", "media": URL, "file_name": "a.pdf"}},
     [(URL, "a.pdf", None, "file")]),
    ({"id": "m", "roomId": "r", "files": [URL, URL + "2"]},
     [(URL, None, None, "image"), (URL + "2", None, None, "file")]),
    (LINE, [(URL, None, None, "image")]),
    ({"type": "message", "replyToken": "x", "message": LINE}, [(URL, None, None, "image")]),
    (MESSENGER, [(URL, None, None, "image")]),
    ({"sender": {"id": "1"}, "message": MESSENGER}, [(URL, None, None, "image")]),
    ({"mid": "m", "attachments": [{"type": "fallback", "title": "T", "payload": {"url": URL}}]},
     [("", "T", None, "embed")]),
    ({"filename": "a.pdf", "mime_type": "application/pdf", "id": "1", "url": URL},
     [(URL, "a.pdf", "application/pdf", "file")]),
    (TWILIO, [(URL, None, "image/png", "image"), (URL + "2", None, None, "file")]),
    ({"type": "event_callback", "event": {"type": "message", "text": "", "files": [SLACK_FILE]}},
     [(URL, "one.png", None, "image")]),
    ({"type": "message", "subtype": "message_changed", "message": {"type": "message", "files": [SLACK_FILE]}},
     [(URL, "one.png", None, "image")]),
    ({"type": "app_mention", "text": "see", "files": [SLACK_FILE]}, [(URL, "one.png", None, "image")]),
    ({"type": "image", "slack_file": {"url": URL}, "alt_text": "x"}, [(URL, None, None, "image")]),
    ({"type": "message", "text": "", "blocks": [{"type": "section"}, {"type": "image", "image_url": URL}]},
     [(URL, None, None, "embed")]),
    ({"title": "one.png", "title_link": URL, "title_link_download": True, "type": "file"},
     [(URL, "one.png", None, "file")]),
    ({"type": "image", "data": {"file": "1.image", "url": URL}}, [(URL, None, None, "image")]),
    ({"name": "a.png", "size": 12, "@microsoft.graph.downloadUrl": URL, "file": {"mimeType": "image/png"}},
     [(URL, "a.png", None, "image")]),
    ({"type": "file", "file": {"url": URL, "expiry_time": "x"}, "name": "a.png"}, [(URL, "a.png", None, "file")]),
    # parts of a model's message
    ({"type": "image", "source": {"type": "url", "url": URL}}, [(URL, None, None, "image")]),
    ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
     [(f"data:image/png;base64,{PNG}", None, "image/png", "image")]),
    ({"type": "input_image", "image_url": URL}, [(URL, None, None, "image")]),
    ({"type": "input_file", "file_url": URL}, [(URL, None, None, "image")]),
    ({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
     [("data:application/pdf;base64,JVBERi0=", "a.pdf", "application/pdf", "file")]),
    ({"type": "input_audio", "input_audio": {"data": "SUQz", "format": "wav"}},
     [("data:audio/wav;base64,SUQz", None, "audio/wav", "audio")]),
    ({"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": URL}}]},
     [(URL, None, None, "image")]),
    ({"inlineData": {"mimeType": "image/png", "data": PNG}},
     [(f"data:image/png;base64,{PNG}", None, "image/png", "image")]),
    ({"file_data": {"mime_type": "image/png", "file_uri": URL}}, [(URL, None, "image/png", "image")]),
    ({"type": "resource_link", "uri": URL, "name": "a.png", "mimeType": "image/png"},
     [(URL, "a.png", "image/png", "image")]),
    ({"type": "resource", "resource": {"uri": "file:///x", "blob": PNG, "mimeType": "image/png"}},
     [(f"data:image/png;base64,{PNG}", None, "image/png", "image")]),
    ({"kind": "file", "file": {"name": "a.png", "mimeType": "image/png", "uri": URL}},
     [(URL, "a.png", "image/png", "file")]),
    # any other
    ({"href": URL}, [(URL, None, None, "image")]),
    (SimpleNamespace(uri=URL), [(URL, None, None, "image")]),
])  # fmt: skip
def test_the_file_of_a_platforms_payload_is_found(source, expected):
    assert found(source) == expected
    assert all(unusable(each) is None for each in intake(source))


@pytest.mark.parametrize("source", [
    {"type": "app_mention", "text": "hi", "ts": "1"}, {"type": "text", "text": {"body": "hi"}, "from": "1"},
    {"type": "text", "text": "hi"}, {"role": "user", "content": "hi"}, {"NumMedia": "0", "Body": "hi"},
    {"type": "m.room.message", "content": {"msgtype": "m.text", "body": "hi"}},
    {"update_id": 1, "message": {**CHAT, "text": "hi"}}, {"type": "message", "message": {"type": "text", "text": "hi"}},
    SimpleNamespace(update_id=1, message=SimpleNamespace(**CHAT, text="hi"), edited_message=None),
])  # fmt: skip
def test_a_message_of_words_alone_has_no_files(source):
    assert intake(source) == []


def test_what_a_message_lists_goes_before_what_it_wraps():
    assert found({"file": {"url": URL + "0"}, "files": [{"url": URL}]}) == [(URL, None, None, "image")]


# ── what cannot be had yet ───────────────────────────────────────────────────────────────────────────────────────────


INFO = {"mimetype": "image/png", "size": 108}
LOCKED = {"url": "mxc://example.org/abc", "key": {"k": "x"}, "iv": "y"}


@pytest.mark.parametrize(("source", "name", "detail", "hint"), [
    ({"msgtype": "m.image", "body": "one.png", "url": "mxc://example.org/abc", "info": INFO},
     "one.png", "scheme 'mxc' is not admitted", "/_matrix/client/v1/media/download/"),
    ({"type": "m.room.message", "content": {"msgtype": "m.file", "body": "see", "filename": "a.pdf", "url": "mxc://x/y"}},
     "a.pdf", "scheme 'mxc' is not admitted", "/_matrix/client/v1/media/download/"),
    ({"msgtype": "m.image", "body": "one.png", "file": LOCKED, "info": INFO},
     "one.png", "the file is encrypted", "decrypt"),
    (SimpleNamespace(body="one.png", **LOCKED), "one.png", "the file is encrypted", "decrypt"),
    ({"title": "one.png", "title_link": "/file-upload/x/one.png", "title_link_download": True, "type": "file"},
     "one.png", "not an absolute URL", "it must start with https://"),
    ("/user_uploads/2/ab/one.png", None, "not an absolute URL", "it must start with https://"),
    ("one.png", None, "not an absolute URL", "pathlib.Path"),
    ("file:///tmp/one.png", None, "scheme 'file' is not admitted", "pathlib.Path"),
    ({"path": "/tmp/one.png", "url": None, "orig_name": "one.png"},
     "one.png", "there is no link to a file", "pathlib.Path"),
    (SimpleNamespace(path="/tmp/one.png", name="a.png"), "a.png", "there is no link to a file", "pathlib.Path"),
    ({"file_id": "x", "file_size": 108, "file_path": "photos/file_9.jpg"},
     "file_9.jpg", "there is no link to the file yet", "https://api.telegram.org/file/bot"),
    ({"update_id": 1, "message": {**CHAT, "document": {"file_id": "x", "file_name": "a.pdf"}}},
     "a.pdf", "there is no link to the file yet", "get_file"),
    ({"ok": True, "result": {"file_id": "x", "file_path": "photos/file_9.jpg"}},
     "file_9.jpg", "there is no link to the file yet", "https://api.telegram.org/file/bot"),
    ({"from": "1", "type": "document", "document": {"filename": "a.pdf", "mime_type": "application/pdf", "id": "1"}},
     "a.pdf", "there is no link to a file", "'document'"),
    ({"type": "file", "id": "1", "fileName": "a.txt", "fileSize": 2138},
     "a.txt", "there is no link to a file", "'fileName'"),
    ({"id": "abc", "name": "a.png", "extension": "png", "mime_type": "image/png"},
     "a.png", "there is no link to a file", "'extension'"),
    ({"type": "input_file", "file_id": "file-1"}, None, "there is no link to a file", "'file_id'"),
    ({"filename": "a.png", "data": "aGVsbG8="}, "a.png", "there is no link to a file", "'data'"),
])  # fmt: skip
def test_what_cannot_be_had_yet_says_so_under_its_name(source, name, detail, hint):
    [attachment] = intake(source)
    assert attachment.name == name
    refused = unusable(attachment)
    if refused is None:
        with pytest.raises(RejectedError) as caught:
            UrlPolicy.public().check(attachment.url)
        refused = caught.value
    assert refused.detail == detail
    assert hint in refused.hint


def test_matrix_tells_type_and_size_in_its_info():
    [attachment] = intake({"msgtype": "m.image", "body": "one.png", "url": "mxc://example.org/abc", "info": INFO})
    assert (attachment.media_type, attachment.size, attachment.kind) == ("image/png", 108, "image")


# ── records and forms of web frameworks ──────────────────────────────────────────────────────────────────────────────


class Form(dict):
    """Has several values for a name, as Django's and Werkzeug's."""

    def lists(self):
        return super().items()

    def items(self):
        return [(key, values[-1]) for key, values in super().items()]


class Items(dict):
    """Has several values for a name, as Starlette's."""

    def multi_items(self):
        return [(key, value) for key, values in super().items() for value in values]

    def items(self):
        return [(key, values[-1]) for key, values in super().items()]


def test_the_uploads_of_a_form_are_its_files():
    one, two = io.BytesIO(b"1"), io.BytesIO(b"2")
    for form in (Form(a=["text"], f=[one, two]), Items(a=["text"], f=[one, two]), {"a": "text", "f": one, "g": [two]}):
        assert [each.source for each in intake(form)] == [one, two]
    [attachment] = intake({"a": "text", "b": ["text", 5, {"read": print}]})
    assert unusable(attachment).detail == "there is no link to a file"


def test_an_array_or_a_record_is_no_list_of_files():
    """The arrays of NumPy and the tables of pandas are iterable; so are records and e-mails."""
    table = type("Table", (), {"__array__": lambda self: None, "__iter__": lambda self: iter([1, 2])})
    record = namedtuple("Record", "one two")  # noqa: PYI024
    for source, name in ((table(), "Table"), (record(1, 2), "Record"), (EmailMessage(), "EmailMessage")):
        [attachment] = intake(source)
        assert f"{name} has none" in unusable(attachment).hint
