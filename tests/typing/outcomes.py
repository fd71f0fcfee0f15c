"""What a type checker sees of outcomes: a forgotten kind or reason is an error, and no value can be changed."""

from pathlib import Path
from typing import Any, Literal, assert_never, assert_type

from staging import Attachment, Failure, Outcome, Reason, Skipped, StagedFile, StagingError


def every_kind_is_seen(outcome: Outcome) -> str:
    assert_type(outcome.attachment, Attachment)
    assert_type(outcome.downloaded, bool)
    assert_type(outcome.local_path, str | None)
    assert_type(outcome.as_dict(), dict[str, Any])
    match outcome:
        case StagedFile(path=path, size=size, media_type=media_type):
            assert_type(path, Path)
            assert_type(size, int)
            assert_type(outcome.claimed_media_type, str | None)
            return media_type
        case Failure(reason=why, detail=detail):
            assert_type(why, Reason)
            assert_type(outcome.retryable, bool)
            assert_type(outcome.attempts, int)
            assert_type(outcome.error, StagingError)
            return detail
        case Skipped(reason=reason):
            assert_type(reason, Literal["link", "embed", "type"])
            return reason
        case _:
            assert_never(outcome)


def a_forgotten_kind_is_an_error(outcome: Outcome) -> str:
    match outcome:
        case StagedFile() | Skipped():
            return outcome.name
        case _:
            assert_never(outcome)  # type: ignore[arg-type]


def no_return_for_a_kind_is_an_error(outcome: Outcome) -> str:  # type: ignore[return]
    match outcome:  # pyright: ignore[reportMatchNotExhaustive]
        case StagedFile() | Failure():
            return outcome.name


def every_reason_is_seen(reason: Reason) -> bool:
    match reason:
        case "not_allowed" | "private_address" | "too_large" | "budget" | "too_many" | "invalid":
            return False
        case "expired" | "not_found" | "forbidden" | "http_status" | "redirects":
            return False
        case "timeout" | "stalled" | "deadline" | "connect" | "interrupted":
            return True
        case "protocol" | "size_mismatch" | "encoding" | "substituted" | "disk_full" | "storage":
            return False
        case _:
            assert_never(reason)


def a_forgotten_reason_is_an_error(reason: Literal["expired", "not_found"], any_reason: Reason) -> None:
    match reason:
        case "expired" | "not_found":
            pass
        case _:
            assert_never(reason)
    match any_reason:
        case "expired" | "not_found":
            pass
        case _:
            assert_never(any_reason)  # type: ignore[arg-type]


def a_misspelt_reason_is_an_error(failure: Failure) -> bool:
    return failure.reason == "to_large"  # type: ignore[comparison-overlap]


def a_failure_has_no_path(failure: Failure) -> Path:
    assert_type(failure.local_path, str | None)
    return failure.path  # type: ignore[attr-defined, no-any-return]


def values_are_frozen(file: StagedFile, attachment: Attachment) -> None:
    file.size = 1  # type: ignore[misc]
    attachment.url = ""  # type: ignore[misc]


def attachments_take_claims_by_keyword() -> None:
    assert_type(Attachment("https://example.com/a.png", name="a.png", size=1).size, int | None)
    Attachment()  # type: ignore[call-arg]
    Attachment("https://example.com/a.png", "a.png")  # type: ignore[call-arg]
    Attachment("https://example.com/a.png", kind="picture")  # type: ignore[arg-type]
