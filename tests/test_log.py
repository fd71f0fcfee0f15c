"""The log: constant templates, the facts under one key, nothing for nothing, and no handler that can break a stage."""

import logging
from pathlib import Path

import pytest

from staging._errors import DownloadError, RejectedError, too_large
from staging._log import log_batch, log_leftovers, log_outcome, log_removal
from staging._models import MB, Attachment, Skipped, StagedFile, failure

URL = "https://cdn.discordapp.com/attachments/1/2/"


def staged(name="a.png", media_type="image/png", claimed=None, size=7):
    attachment = Attachment(f"{URL}{name}?ex=s3cret", name=name, media_type=claimed)
    return StagedFile(attachment=attachment, name=name, path=Path("/tmp", name), size=size, media_type=media_type)


def failed(error, name="a'\n.png", url=f"{URL}a.png?ex=s3cret"):
    return failure(Attachment(url, name=name), name, error)


SKIPPED = Skipped(attachment=Attachment("https://example.com", kind="url"), name="x", reason="link")


@pytest.fixture
def told(caplog):
    """Return the one record that a call writes, or none."""
    caplog.set_level(logging.DEBUG, "staging")

    def told(function, *arguments):
        caplog.clear()
        function(*arguments)
        (record,) = caplog.records or [None]
        return record

    return told


def test_a_batch_is_counted_without_what_was_skipped(told):
    outcomes = [staged(), staged("b.png"), staged("b.png"), failed(too_large(1)), failed(too_large(1)), SKIPPED]
    record = told(log_batch, outcomes, "thread 42")
    assert record.getMessage() == "Downloaded 3/5 attachments for thread 42"
    assert record.msg == "Downloaded %d/%d attachments%s"
    assert record.levelno == logging.INFO
    assert record.staging == {
        "label": "thread 42", "staged": 3, "wanted": 5, "bytes": 14, "failures": {"too_large": 2},
    }  # fmt: skip
    assert told(log_batch, outcomes).getMessage() == "Downloaded 3/5 attachments"
    assert told(log_batch, outcomes, "a\nb").getMessage() == "Downloaded 3/5 attachments for a\\nb"


def test_nothing_is_told_of_nothing(told):
    assert told(log_batch, [SKIPPED]) is told(log_batch, []) is None
    assert told(log_removal, 0, "thread 42") is None
    assert told(log_leftovers, (), "/tmp") is None
    assert told(log_outcome, SKIPPED) is told(log_outcome, staged()) is None


def test_a_failure_is_a_warning_with_its_facts(told):
    error = DownloadError(
        "http_status", "gone\n", status=500, host="cdn.discordapp.com", hint="look\nthere", attempts=3
    )
    record = told(log_outcome, failed(error), "thread 42")
    assert record.getMessage() == (
        f"Not staged: 'a\\'\\\\n.png' for thread 42: gone\\n (http_status, {URL}a.png); look\\nthere"
    )
    assert record.msg == "Not staged: %s%s: %s (%s)%s"
    assert record.levelno == logging.WARNING
    assert record.staging == {
        "label": "thread 42", "name": "a'\\n.png", "url": f"{URL}a.png", "reason": "http_status", "detail": "gone\\n",
        "hint": "look\\nthere", "retryable": False, "attempts": 3, "status": 500, "limit": None, "size": None,
        "host": "cdn.discordapp.com",
    }  # fmt: skip
    record = told(log_outcome, failed(too_large(50 * MB, 60 * MB), "a.png", url="data:,s3cret"))
    assert record.getMessage() == "Not staged: 'a.png': too large: 60 MB, the limit is 50 MB (too_large)"
    assert (record.staging["limit"], record.staging["size"]) == (50 * MB, 60 * MB)
    assert "s3cret" not in repr(vars(record))


def test_a_file_that_is_not_what_it_claims_is_a_warning(told):
    record = told(log_outcome, staged("a.png", "text/html", "image/png"), "thread 42")
    assert record.getMessage() == "Not what it claims to be: 'a.png' for thread 42 is text/html, not image/png"
    assert record.msg == "Not what it claims to be: %s%s is %s, not %s"
    assert record.levelno == logging.WARNING
    assert (record.staging["media_type"], record.staging["claimed_media_type"]) == ("text/html", "image/png")


def test_the_end_is_told_once(told):
    record = told(log_removal, 3, "thread 42")
    assert record.getMessage() == "Cleaned up 3 attachment files for thread 42"
    assert (record.msg, record.staging) == (
        "Cleaned up %d attachment files%s",
        {"label": "thread 42", "removed": 3},
    )
    record = told(log_leftovers, (("a\n", "busy"), *[("b", "busy")] * 4), "/tmp/x")
    assert record.getMessage() == (
        "Could not remove 5 of the files in /tmp/x (a\\n: busy; b: busy; b: busy); left to the next sweep"
    )
    assert len(record.staging["leftovers"]) == 5


def test_a_handler_that_raises_breaks_nothing():
    class Broken(logging.Handler):
        def handle(self, record):
            raise RuntimeError(record.getMessage())

    logger, handler = logging.getLogger("staging"), Broken()
    logger.addHandler(handler)
    try:
        log_outcome(failed(RejectedError("invalid", "x")))
    finally:
        logger.removeHandler(handler)
