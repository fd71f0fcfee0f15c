"""Values and errors: checked when they are made, frozen, facts as fields, and no secret in what they show."""

import copy
import importlib.metadata
import json
import os
import pickle
import pydoc
import traceback
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, fields
from pathlib import Path
from typing import Any, get_args

import pytest

import staging
from staging import (
    AreaStats,
    Attachment,
    DownloadError,
    Failure,
    Limits,
    Reason,
    RejectedError,
    Skipped,
    StageClosedError,
    StagedFile,
    WorkspaceError,
)  # fmt: skip
from staging._errors import REASONS, too_large
from staging._models import MB, failure

HUGE = pytest.param(10**5000, id="huge")  # Python refuses to print it


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"url": None}, "url must be text, not None"), ({"url": ""}, "needs a url"), ({"url": " "}, "needs a url"),
        ({"url": b"https://x"}, "url must be text, not bytes"), ({"data": "x"}, "data must be bytes"),
        ({"data": 5}, "data must be bytes, not 5"), ({"headers": []}, "headers must be a mapping, not list"),
        ({"name": 5}, "name must be text, not 5"), ({"kind": "picture"}, "kind must be one of .*, not 'picture'"),
        ({"kind": []}, "kind must be .*, not list"), ({"media_type": b"x"}, "media_type must be text, not bytes"),
        ({"size": -1}, "size must be .*, not -1"), ({"size": "7"}, "size must be .*, not '7'"),
        ({"size": True}, "size must be .*, not True"), ({"size": 1.5}, "size must be .*, not 1.5"),
        pytest.param({"size": 10**5000}, "size must be .*, not int", id="huge"),
        ({"description": 5}, "description must be text, not 5"),
        ({"name": object()}, "name must be text, not object"), ({"headers": {"": "x"}}, "headers"),
        ({"headers": {"A B": "x"}}, "headers"), ({"headers": {"A:": "x"}}, "headers"),
        ({"headers": {"Ä": "x"}}, "headers"), ({"headers": {"A\r\nB": "x"}}, "headers"),
        ({"headers": {5: "x"}}, "headers"), ({"headers": {"A\n": "x"}}, "headers"),
        ({"headers": {"Ok": "x", "X-Y": "s3cret\r\nHost: x"}}, "X-Y"), ({"headers": {"X-Y": "s3cret\n"}}, "X-Y"),
        ({"headers": {"X-Y": "s3cret\0"}}, "X-Y"), ({"headers": {"X-Y": " s3cret"}}, "X-Y"),
        ({"headers": {"X-Y": "s3cret "}}, "X-Y"), ({"headers": {"X-Y": "s3cret€"}}, "X-Y"),
        ({"headers": {"X-Y": "s3\x7fcret"}}, "X-Y"), ({"headers": {"X-Y": b"s3cret"}}, "headers"),
        ({"headers": {"X-Y": None}}, "headers"),
    ],
)  # fmt: skip
def test_an_attachment_that_cannot_be_used_cannot_be_made(values, problem):
    with pytest.raises((TypeError, ValueError), match=problem) as caught:
        Attachment(**{"url": "https://example.com/?s3cret", **values})
    text = str(caught.value)
    assert "s3cret" not in text
    assert text.isprintable()
    assert len(text) < 200


def test_an_attachment_of_fields_of_their_types_can_be_made():
    headers = {"Authorization": "Bearer a b\tc", "X-Empty": "", "X_1!#$%&'*+.^`|~-": "é", "X": "y"}
    attachment = Attachment(
        "https://example.com", name="", kind="audio", media_type="", size=0, description="", headers=headers
    )
    assert attachment.headers == headers
    for url, more in (("x", {}), ("", {"kind": "embed"}), ("", {"data": b""}), ("", {"source": object()})):
        assert Attachment(url, **more).url == url


def test_an_attachment_without_a_size_that_fits_has_the_type_of_error_that_python_uses():
    with pytest.raises(TypeError):
        Attachment(5, size="12", kind="nonsense")
    with pytest.raises(ValueError):
        Attachment("https://example.com", kind="nonsense")


def test_data_are_bytes_that_nobody_changes():
    buffer = bytearray(b"abc")
    attachment = Attachment("", data=buffer, name="a.txt")
    buffer[0] = 0
    assert (attachment.data, type(attachment.data)) == (b"abc", bytes)
    assert Attachment("", data=memoryview(b"abc")).data == b"abc"
    mine = b"x" * 1000
    assert Attachment("", data=mine).data is mine


def test_neither_data_nor_headers_nor_the_source_are_in_a_repr():
    secret = Attachment(
        "https://u:s3cret@example.com/a?s3cret", name="a\n", headers={"A": "s3cret"}, data=b"s3cret", source="s3cret"
    )
    failed = failure(secret, "a", too_large(5, 6))
    for shown in (repr(secret), str(secret), repr(failed), repr([failed])):
        assert "s3cret" not in shown
        assert shown.isprintable()
    assert repr(secret) == "Attachment('https://example.com/a', name='a\\n', kind='file', data=<6 bytes>)"
    assert repr(Attachment("data:text/plain,s3cret")) == "Attachment('data:text/plain,…', kind='file')"


def test_headers_cannot_be_changed():
    given = {"A": "1"}
    attachment = Attachment("https://example.com", headers=given)
    given["A"] = "2"
    assert attachment.headers == {"A": "1"}
    changes: list[Callable[[Any], object]] = [
        lambda headers: headers.__setitem__("A", "2"), lambda headers: headers.__delitem__("A"), dict_clear, dict_pop,
        lambda headers: headers.popitem(), lambda headers: headers.setdefault("B", ""),
        lambda headers: headers.update(A="2"), lambda headers: headers.__ior__({"A": "2"}),
    ]  # fmt: skip
    for change in changes:
        with pytest.raises(TypeError, match="cannot be changed"):
            change(attachment.headers)
    assert attachment.headers == {"A": "1"}
    with pytest.raises(FrozenInstanceError):
        attachment.url = "x"


def dict_clear(headers):
    headers.clear()


def dict_pop(headers):
    headers.pop("A")


VALUES = [
    Attachment("https://example.com", name="a", headers={"A": "1"}, data=b"x", source={"url": "x"}),
    StagedFile(attachment=Attachment("x"), name="a", path=Path("/tmp/a"), size=1, media_type="text/plain"),
    failure(Attachment("x"), "a", DownloadError("connect", "d", hint="h", host="x", attempts=2)),
    Skipped(attachment=Attachment("x"), name="a", reason="type"),
    Limits(max_mb=1),
    AreaStats(staged=3, failures={"too_large": 2}),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_every_value_is_frozen_and_goes_through_pickle_copy_and_asdict(value):
    for again in (pickle.loads(pickle.dumps(value)), copy.copy(value), copy.deepcopy(value)):
        assert again == value
        assert repr(again) == repr(value)
        for frozen in (getattr(again, "headers", {}), getattr(again, "failures", {})):
            assert type(frozen) is not dict or not frozen
    for field in fields(value):
        with pytest.raises(FrozenInstanceError):
            setattr(value, field.name, None)
    assert set(asdict(value)) == {field.name for field in fields(value)}
    assert type(value).__module__ == "staging"


def test_a_staged_file_is_a_path(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("hello")
    staged = StagedFile(attachment=Attachment("x"), name="a.txt", path=path, size=5, media_type="text/plain")
    assert isinstance(staged, os.PathLike)
    with open(staged) as file:  # noqa: PTH123  # what people write
        assert file.read() == "hello"
    assert Path(staged) == path


def test_outcomes_can_be_matched():
    for value, expected in zip(VALUES[1:4], ("/tmp/a", "connect h", "type"), strict=True):
        match value:
            case StagedFile(path=path):
                found = str(path)
            case Failure(reason="connect", hint=hint):
                found = f"connect {hint}"
            case Skipped(reason=reason):
                found = reason
        assert found == expected


def test_numbers_of_an_area_are_ready_for_a_monitor():
    stats = AreaStats(stages_open=1, failures={"stalled": 2})
    assert json.loads(json.dumps(asdict(stats)))["failures"] == {"stalled": 2}
    with pytest.raises(TypeError):
        stats.failures["stalled"] = 0
    assert hash(stats) is not None


def test_help_is_short_and_shows_no_generated_method():
    text = pydoc.plain(pydoc.render_doc(staging))
    assert len(text.splitlines()) < 1300
    for generated in ("__eq__", "__hash__", "__setstate__", "__replace__", "__reduce__", "with_traceback"):
        assert generated not in text
    assert "__fspath__" in text
    assert "attachment" in dir(VALUES[1])  # an instance lists what it has


def test_the_version_is_that_of_the_distribution():
    assert staging.__version__ == importlib.metadata.version("attachment-staging")


# Errors


ERRORS = [
    RejectedError("budget", "d", hint="h", limit=5, size=6, host="example.com"),
    DownloadError("http_status", "d", hint="h", status=500, attempts=2, limit=1.5, size=3, host="x", retryable=True),
    WorkspaceError("storage", "d", 28, hint="h", limit=1, size=2, retryable=True),
    WorkspaceError("disk_full", "d"),
    StageClosedError("d"),
    too_large(50 * MB),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_goes_through_pickle_with_its_facts(error):
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is type(error)
        assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))
    assert type(error).__module__ == "staging"


def test_an_errno_goes_through_pickle():
    assert pickle.loads(pickle.dumps(WorkspaceError("storage", "d", 28))).errno == 28
    assert issubclass(RejectedError, ValueError)
    assert issubclass(WorkspaceError, OSError)
    assert issubclass(StageClosedError, RuntimeError)


def test_a_hint_is_in_the_traceback_and_not_in_the_text():
    error = RejectedError("not_allowed", "no", hint="admit it with UrlPolicy.only")
    assert str(error) == "no"
    assert "admit it" not in repr(error)
    assert "admit it" in "".join(traceback.format_exception(error))


def test_every_reason_has_its_row():
    assert set(REASONS) == set(get_args(Reason))
    for reason, because in REASONS.items():
        assert f"* ``{reason}``: {because.meaning}" in (Failure.__doc__ or "")
        assert because.sentence.startswith((": ", " "))
        assert RejectedError(reason, "d").retryable is because.retryable
    assert len({because.sentence for because in REASONS.values()}) == len(REASONS)


@pytest.mark.parametrize(
    ("limit", "size", "detail"),
    [
        (50 * MB, round(61.2 * MB), "too large: 61.2 MB, the limit is 50 MB"),
        (50 * MB, 50 * MB + 1, "too large: 52,428,801 bytes, the limit is 50 MB"),
        (50 * MB, None, "too large: more than 50 MB, the limit is 50 MB"),
    ],
)
def test_a_limit_is_told_apart_from_the_size(limit, size, detail):
    error = too_large(limit, size)
    assert (error.detail, error.limit, error.size, error.reason) == (detail, limit, size, "too_large")


def test_what_is_no_error_of_an_attachment_is_raised():
    with pytest.raises(StageClosedError):
        failure(Attachment("x"), "x", StageClosedError("closed"))
