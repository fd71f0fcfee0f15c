"""What is told of the outcomes: the exact shape of the block, a notice fit for a chat, and the lines of the log."""

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import get_args

import pytest

from staging._context import context, notice
from staging._errors import Reason, RejectedError, too_large
from staging._models import MB, Attachment, Failure, Skipped, StagedFile

CDN = "https://cdn.discordapp.com/attachments/1/2/"


def staged(name="script.py", path="/tmp/staging-x1/x", media_type="text/plain", claimed=None, **claims):
    attachment = Attachment(f"{CDN}{name}?ex=66&hm=5ec2e7", name=name, media_type=claimed, **claims)
    return StagedFile(attachment=attachment, name=name, path=Path(path), size=1, media_type=media_type)


def failed(name="scan.tiff", reason="not_found", detail="404", error=None, **claims):
    attachment = Attachment(claims.pop("url", f"{CDN}{name}?ex=66&hm=5ec2e7"), name=name, **claims)
    error = error or RejectedError(reason, detail)
    reason, detail = error.reason, error.detail
    return Failure(
        attachment=attachment, name=name, reason=reason, detail=detail, retryable=False, attempts=1, error=error
    )


def skipped(url="https://example.com/page", reason="link", **claims):
    kind = {"link": "url", "embed": "embed"}[reason]
    return Skipped(attachment=Attachment(url, kind=kind, **claims), name=url.partition("?")[0], reason=reason)


# The block


def test_the_block_has_the_shape_of_the_contract():
    outcomes = [
        staged(path="/absolute/path/to/script.py"),
        failed(error=too_large(50 * MB, round(61.2 * MB)), kind="image"),
        skipped(),
    ]
    assert context(outcomes) == (
        "[Attachments:]\n"
        "1. FILE 'script.py'\n"
        "   Downloaded: Yes (available for processing)\n"
        "   Local Path: /absolute/path/to/script.py\n"
        "   URL: https://cdn.discordapp.com/attachments/1/2/script.py\n"
        "2. IMAGE 'scan.tiff'\n"
        "   Downloaded: Failed (too large: 61.2 MB, the limit is 50 MB)\n"
        "   URL: https://cdn.discordapp.com/attachments/1/2/scan.tiff\n"
        "3. URL 'https://example.com/page'\n"
        "   Downloaded: Not needed (link)\n"
        "   URL: https://example.com/page"
    )


def test_no_outcomes_no_text():
    assert context([]) == ""


def test_an_embed_may_have_no_url():
    embed = Skipped(attachment=Attachment("", kind="embed"), name="News", reason="embed")
    assert context([embed]) == "[Attachments:]\n1. EMBED 'News'\n   Downloaded: Not needed (embed)"


@pytest.mark.parametrize(
    ("media_type", "label"),
    [("image/png", "IMAGE"), ("video/mp4", "VIDEO"), ("audio/ogg", "AUDIO"), ("text/html", "FILE")],
)
def test_the_label_of_a_staged_file_is_what_it_is_not_what_was_claimed(media_type, label):
    assert context([staged(kind="image", media_type=media_type)]).splitlines()[1] == f"1. {label} 'script.py'"


def test_the_label_of_a_failure_is_what_was_claimed():
    for kind in ("file", "image", "video", "audio"):
        assert f"1. {kind.upper()} 'scan.tiff'" in context([failed(kind=kind)])


def test_a_type_line_appears_only_where_the_bytes_contradict_the_claim():
    contradicted = staged("a.png", media_type="text/html", claimed="image/png", description="a cat")
    assert context([contradicted]).splitlines()[-3:] == [
        f"   URL: {CDN}a.png",
        "   Type: text/html (claimed image/png)",
        "   Description: a cat",
    ]
    assert "Type:" not in context([staged("a.png", media_type="image/png", claimed="image/png"), staged("a.py")])


def test_without_a_claimed_type_the_extension_is_the_claim():
    assert "   Type: text/html (claimed image/png)" in context([staged("a.png", media_type="text/html")])
    nameless = StagedFile(
        attachment=Attachment(f"{CDN}a.png?x.mp3"), name="b", path=Path("/b"), size=1, media_type="text/html"
    )
    assert "   Type: text/html (claimed image/png)" in context([nameless])
    assert "Type:" not in context([staged("a.png", media_type="text/html", claimed="text/html")])


def test_local_paths_can_be_left_out():
    block = context([staged(), failed()], paths=False)
    assert "Local Path" not in block
    assert block == context([staged(path="/elsewhere"), failed()], paths=False, path_map={"/": "/x"})
    assert "Downloaded: Yes (available for processing)\n   URL: " in block


def test_a_data_url_has_no_url_line():
    for mode in ("bare", "full", "hide"):
        assert "URL" not in context([failed(url="data:text/plain,s3cret")], urls=mode)


def test_what_was_not_accepted_is_not_needed():
    outcome = Skipped(attachment=Attachment("https://x/a.mp3", kind="audio"), name="a.mp3", reason="type")
    assert context([outcome]).splitlines()[1:3] == ["1. AUDIO 'a.mp3'", "   Downloaded: Not needed (type)"]
    assert notice([outcome]) == ""


def test_no_hint_for_programmers_reaches_model_or_person():
    outcomes = [
        failed(error=RejectedError("not_allowed", "links to this host are not accepted", hint="vault.internal"))
    ]
    assert "vault" not in context(outcomes) + notice(outcomes) + str(outcomes[0].as_dict())


def test_a_description_is_one_bounded_line():
    lines = context([failed(description="a\nb\u2028c\u202ed" + "x" * 5000)]).splitlines()
    assert lines[-1].startswith("   Description: a\\nb\\u2028c\\u202edxxx")
    assert len(lines[-1]) == len("   Description: ") + 500
    for nothing in (None, "", " \n"):
        assert "Description" not in context([failed(description=nothing)])


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("it's.png", r"'it\'s.png'"),
        ("a\\", r"'a\\'"),
        ("a\\' b", r"'a\\\' b'"),
        ("x'\n2. FILE 'y", r"'x\'\\n2. FILE \'y'"),
        ("日本語 (final).pdf", "'日本語 (final).pdf'"),
    ],
)
def test_no_name_closes_its_quote(name, shown):
    assert context([failed(name)]).splitlines()[1] == f"1. FILE {shown}"


def test_urls_are_bare_full_or_hidden():
    outcomes = [failed(url="https://example.com/a?sig=s3cret#x\n2. FILE")]
    assert context(outcomes).splitlines()[-1] == "   URL: https://example.com/a"
    assert context(outcomes, urls="full").splitlines()[-1] == "   URL: https://example.com/a?sig=s3cret#x\\n2. FILE"
    assert "example" not in context(outcomes, urls="hide")
    for wrong in ("none", "", None, "BARE"):
        with pytest.raises(ValueError, match="urls must be"):
            context([], urls=wrong)


@pytest.mark.parametrize(
    ("path_map", "shown"),
    [
        ({}, "/srv/tmp/staging-x1/a b.py"),
        ({"/srv/tmp": "/mnt/in"}, "/mnt/in/staging-x1/a b.py"),
        ({"/srv/tmp/": "/mnt/in/"}, "/mnt/in/staging-x1/a b.py"),
        ({Path("/srv/tmp"): PurePosixPath("/mnt/in")}, "/mnt/in/staging-x1/a b.py"),
        ({"/srv": "/short", "/srv/tmp": "/long", "/": "/root"}, "/long/staging-x1/a b.py"),
        ({"/srv/tmp": "/long", "/srv": "/short"}, "/long/staging-x1/a b.py"),
        ({"/srv/tm": "/x", "/other": "/x", "srv/tmp": "/x", "": "/x"}, "/srv/tmp/staging-x1/a b.py"),
        ({"/srv/tmp/staging-x1": "/"}, "/a b.py"),
        ({"/": "/mnt"}, "/mnt/srv/tmp/staging-x1/a b.py"),
        ({"/srv/tmp": "C:\\work"}, "C:\\work\\staging-x1\\a b.py"),
        ({"/srv/tmp": "c:/work/"}, "c:\\work\\staging-x1\\a b.py"),
        ({"/srv/tmp": "\\\\host\\share"}, "\\\\host\\share\\staging-x1\\a b.py"),
        ({"/srv/tmp": PureWindowsPath("D:/")}, "D:\\staging-x1\\a b.py"),
        ({"/srv/tmp": PureWindowsPath("work")}, "work\\staging-x1\\a b.py"),
    ],
)
def test_the_longest_directory_that_holds_a_file_is_mapped(path_map, shown):
    outcome = staged(path="/srv/tmp/staging-x1/a b.py")
    assert context([outcome], path_map=path_map).splitlines()[3] == f"   Local Path: {shown}"


def test_a_path_is_never_cut():
    path = "/" + "/".join(["d" * 250] * 16) + "/a.py"
    assert f"   Local Path: {path}\n" in context([staged(path=path)])
    assert "   Local Path: /x\\n2. FILE/a.py\n" in context([staged(path="/x\n2. FILE/a.py")])


# The notice


def test_the_notice_says_what_could_not_be_used_and_why():
    outcomes = [
        staged("1.py"),
        staged("2.py"),
        staged("3.py"),
        failed("scan.tiff", error=too_large(50 * MB, 60 * MB)),
        failed("a.png", "expired"),
        skipped(),
    ]
    assert notice(outcomes) == (
        "2 of 5 attachments could not be used: scan.tiff is larger than 50 MB; a.png: the link has expired."
    )
    assert notice(outcomes[3:4]) == "1 of 1 attachments could not be used: scan.tiff is larger than 50 MB."


def test_the_notice_names_what_is_not_what_it_claims():
    wrong = staged("a.b.png", media_type="text/html", claimed="image/png")
    assert notice([wrong, staged()]) == "Not what they claim to be: a․b.png is text∕html, not image∕png."
    assert notice([failed("a.png", "expired"), wrong]) == (
        "1 of 2 attachments could not be used: a.png: the link has expired. "
        "Not what they claim to be: a․b.png is text∕html, not image∕png."
    )
    many = [failed("x" * 300, "size_mismatch")] * 500 + [
        staged("y" * 300, media_type="x" * 99, claimed="image/png")
    ] * 500
    assert len(notice(many)) <= 400
    assert "… and 499 more. Not what" in notice(many)
    assert notice(many).endswith("… and 499 more.")


def test_the_notice_has_every_limit_that_is_known():
    assert notice([failed("a.png", error=too_large(50 * MB))]).endswith("a.png is larger than 50 MB.")
    assert notice([failed("a.png", "too_large", "over 3 MB")]).endswith("a.png is too large.")


def test_no_failure_no_notice():
    assert notice([]) == notice([staged(), skipped(), skipped(reason="embed")]) == ""


def test_every_reason_has_a_phrase_of_its_own():
    texts = {notice([failed("a.png", reason, "the detail")]) for reason in get_args(Reason)}
    assert len(texts) == len(get_args(Reason))
    assert not any("the detail" in text for text in texts)


@pytest.mark.parametrize("count", [1, 2, 5, 1000])
def test_the_notice_is_bounded_and_counts_what_it_leaves_out(count):
    text = notice([failed(f"{n}{'x' * 500}.png", "size_mismatch") for n in range(count)])
    assert text.startswith(f"{count} of {count} attachments could not be used: 0xxx")
    assert len(text) <= 400
    told = text.count("announced size")
    if count == 1000:
        assert text.endswith(f"; … and {count - told} more.")
    assert told == count or 2 <= told < 5


def test_seven_more():
    text = notice([failed("x" * 50 + ".png", "size_mismatch") for _ in range(10)])
    assert text.endswith("; … and 7 more.")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("@everyone.png", "＠everyone.png"),
        ("<@123> <#4> <!channel> <t:1>", "‹＠123› ‹＃4› ‹!channel› ‹t∶1›"),
        ("**b** `c` ~~d~~ ||e||.md", "∗∗b∗∗ ˋcˋ ∼∼d∼∼ ¦¦e¦¦.md"),
        ("[x](https://evil.com).png", "［x］(https∶∕∕evil․com).png"),
        ("www.evil.com", "www․evil․com"),
        ("discord.gg/abc", "discord․gg∕abc"),
        ("1.2.3.4", "1․2․3.4"),
        ("snake_case_name.py", "snake_case_name.py"),
        ("_it_ __init__.py", "＿it＿ ＿＿init＿＿.py"),
        ("a\\_b", "a＼＿b"),
        (":smile:.png", "∶smile∶.png"),
        ("a\n# b\u202e.png", "a ＃ b＼u202e.png"),
        ("archive.tar.gz", "archive․tar.gz"),
        ("big.bin", "big.bin"),
        ("日本語 (final) - v2.docx", "日本語 (final) - v2.docx"),
        ("", "an attachment"),
    ],
)
def test_no_name_in_a_notice_does_anything_in_a_chat(name, shown):
    assert notice([failed(name, "expired")]) == f"1 of 1 attachments could not be used: {shown}: the link has expired."
