"""Words for people: no URL that is shown, and no name that is made of one, tells a secret."""

import time

import pytest

from staging._claims.disposition import url_filename
from staging._text import bare_url, is_data_url, last_segment, quoted

S = "S3CRET"
HOST = "files.example.com"
SECRET_URLS = {
    "query": f"https://{HOST}/a.png?sig={S}",
    "fragment": f"https://{HOST}/a.png#{S}",
    "fragment with a question mark": f"https://{HOST}/a.png#x?{S}",
    "query that was encoded": f"https://{HOST}/a.png%3Fex%3D1%26hm%3D{S}",
    "query that was encoded twice": f"https://{HOST}/external/%253Fsig={S}/https/x/a.png",
    "userinfo": f"https://bob:{S}@{HOST}/a.png",
    "userinfo, user alone": f"https://{S}@{HOST}/a.png",
    "userinfo, encoded colon": f"https://bob%3A{S}@{HOST}/a.png",
    "userinfo, encoded at": f"https://bob:{S}%40{HOST}/a.png",
    "userinfo, all encoded": f"https://bob%3A{S}%40{HOST}/a.png",
    "userinfo, two ats": f"https://bob:{S}@{S}@{HOST}/a.png",
    "userinfo, slash in the password": f"https://bob:pa/{S}@{HOST}/a.png",
    "userinfo, slash behind digits": f"https://bob:12/{S}@{HOST}/a.png",
    "userinfo, two slashes in it": f"https://bob:pa/{S}/{S}@{HOST}/a.png",
    "userinfo, slash in a token": f"https://pa/{S}@{HOST}/a.png",
    "userinfo, question mark": f"https://bob:x?{S}@{HOST}/a.png",
    "userinfo, question mark behind it": f"https://bob:{S}?x@{HOST}/a.png",
    "userinfo, question mark behind a slash": f"https://bob:pa/{S}?x@{HOST}/a.png",
    "userinfo, hash": f"https://bob:{S}#x@{HOST}/a.png",
    "userinfo, backslash in it": f"https://bob:pa\\{S}@{HOST}/a.png",
    "userinfo without //": f"https:bob:{S}@{HOST}/a.png",
    "userinfo, one slash": f"https:/bob:{S}@{HOST}/a.png",
    "userinfo, three slashes": f"https:///bob:{S}@{HOST}/a.png",
    "userinfo, backslashes": f"https:\\\\bob:{S}@{HOST}/a.png",
    "userinfo, a space": f"https:// bob:{S}@{HOST}/a.png",
    "userinfo, no scheme": f"bob:{S}@{HOST}/a.png",
    "userinfo, no scheme, no path": f"bob:{S}@{HOST}",
    "userinfo, no scheme, slash in it": f"bob:pa/{S}@{HOST}/a.png",
    "userinfo, scheme-relative": f"//bob:{S}@{HOST}/a.png",
    "userinfo, IPv6": f"https://bob:{S}@[::1]:8080/a.png",
    "userinfo, words around": f"see https://bob:{S}@{HOST}/a.png",
    "userinfo in a URL in a path": f"https://web.archive.org/web/2020/https://bob:{S}@{HOST}/a.png",
    "userinfo, long": f"https://bob:{'x' * 9000}{S}@{HOST}/a.png",
    "Telegram": f"https://api.telegram.org/file/bot123456:{S}/photos/file_1.jpg",
    "Telegram, encoded colon": f"https://api.telegram.org/file/bot123456%3A{S}/photos/file_1.jpg",
    "Telegram, colon encoded twice": f"https://api.telegram.org/file/bot123456%253a{S}/photos/file_1.jpg",
    "Telegram, encoded letters": f"https://api.telegram.org/file/%62%256Ft12%33456:{S}/photos/file_1.jpg",
    "Telegram, encoded slash": f"https://api.telegram.org/file%2Fbot123456:{S}/photos/file_1.jpg",
    "Telegram, test environment": f"https://api.telegram.org/file/bot123456:{S}/test/photos/file_1.jpg",
    "Telegram, upper case": f"https://api.telegram.org/file/BOT123456:{S}/photos/file_1.jpg",
    "Telegram, last segment": f"https://api.telegram.org/file/bot123456:{S}",
    "Telegram, last segment, encoded": f"https://api.telegram.org/file/bot123456%3a{S}",
    "Telegram, doubled slash": f"https://api.telegram.org/file//bot123456:{S}/photos/file_1.jpg",
    "Telegram, a local Bot API": f"http://localhost:8081/bot123456:{S}/getFile",
    "Telegram, relative": f"bot123456:{S}/photos/file_1.jpg",
    "Discord webhook": f"https://discord.com/api/webhooks/12345/{S}/messages/1",
    "Discord webhook, versioned": f"https://ptb.discord.com/api/v10/webhooks/12345/{S}",
    "Discord webhook, encoded": f"https://discord.com/api/%77ebhooks/123/{S}",
    "Discord webhook, encoded slashes": f"https://discord.com/api%2Fwebhooks%2F123%2F{S}",
    "Discord webhook, more slashes": f"https://discord.com//api//webhooks//123//{S}",
    "Discord webhook, capitals": f"https://discord.com/API/Webhooks/123/{S}",
    "an encoded URL in a path": f"https://x.example/proxy/https%3A%2F%2Fuser%3A{S}%40host%2Fa.png",
    "an encoded URL in a path, colon plain": f"https://x.example/proxy/https:%2F%2Fuser:{S}@host/a.png",
    "an encoded URL in a path, encoded twice": f"https://x.example/https%253A%252F%252Fuser%253A{S}%2540host/a.png",
    "an encoded URL in a path, before another": f"https://x.example/a:%2F%2Fb%3a/bob:{S}@host/a.png",
    "an encoded fragment": f"https://x.example/a.png%23access_token%3D{S}",
    "a token behind a space": f"https://x.example/ bot123:AA{S}/a",
    "Discord interaction": f"https://discord.com/api/v10/interactions/12345/{S}/callback",
    "Slack webhook": f"https://hooks.slack.com/services/T000/B000/{S}",
    "Slack trigger": f"https://hooks.slack.com/triggers/T000/1/{S}",
    "Teams webhook": f"https://contoso.webhook.office.com/webhookb2/{S}@1/IncomingWebhook/{S}/2",
    "jsessionid": f"https://{HOST}/a.png;jsessionid={S}",
    "jsessionid in the middle": f"https://{HOST}/x;JSESSIONID={S}/a.png",
    "token parameter": f"https://{HOST}/a.png;v=1;access_token={S}",
}


@pytest.mark.parametrize("url", SECRET_URLS.values(), ids=SECRET_URLS)
def test_no_secret_of_a_url_is_shown_or_becomes_a_name(url):
    for shown in (bare_url(url), bare_url(url, limit=60), last_segment(url), url_filename(url) or ""):
        assert S not in shown
        assert shown.isprintable()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://cdn.discordapp.com/attachments/1/2/a.png?ex=1", "https://cdn.discordapp.com/attachments/1/2/a.png"),
        ("https://files.example.com:8443/a;b=c/d@2x.png", "https://2x.png"),
        ("https://files.example.com/a;v=c/d@2x.png", "https://files.example.com/a;v=c/d@2x.png"),
        ("https://medium.com/@user/a.png", "https://medium.com/@user/a.png"),
        ("https://unpkg.com/pkg@1.2.3/a.js", "https://unpkg.com/pkg@1.2.3/a.js"),
        ("https://bob:x@files.example.com/a.png", "https://files.example.com/a.png"),
        ("https://bob:pa/ss@files.example.com/a.png", "https://files.example.com/a.png"),
        ("https://bob:pa?ss@files.example.com/a.png", "https://…"),
        ("https://[::1]:80/a", "https://[::1]:80/a"),
        ("https://example.com/what%3F.png", "https://example.com/what%3F.png"),
        ("https://example.com/services/T/B/a.png", "https://example.com/services/T/B/a.png"),
        ("https://example.com/bots/12:30/a.png", "https://example.com/bots/12:30/a.png"),
        ("https://api.telegram.org/file/bot12:x/a.jpg", "https://api.telegram.org/file/bot12:…/a.jpg"),
        ("photos/file_9.jpg", "photos/file_9.jpg"),
        ("/user_uploads/2/ab/a.txt", "/user_uploads/2/ab/a.txt"),
        ("mxc://example.org/abc", "mxc://example.org/abc"),
        ("C:\\Users\\me\\a.txt", "C:\\Users\\me\\a.txt"),
        ("a\nb", "a\\nb"),
        ("", ""),
        ("data:image/png;base64,iVBORw0KGgo=", "data:image/png;base64,…"),
        ("DATA:,hello", "DATA:,…"),
        ("data:" + "x" * 5000, "data:" + "x" * 195 + "…"),
    ],
)
def test_what_is_no_secret_stays(url, shown):
    assert bare_url(url) == shown


@pytest.mark.parametrize(
    ("url", "segment"),
    [
        ("https://example.com/a/b.png?x=/c.mp3", "b.png"), ("https://example.com/", ""), ("https://example.mov", ""),
        ("//example.mov", ""), ("a.png", "a.png"), ("x/a.png", "a.png"), ("https:a.png", ""), ("data:a/b.png,x", ""),
        ("https://example.com/a.png;jsessionid=1", "a.png"), ("https://example.com/" + "x/" * 9000 + "a.png", "a.png"),
    ],
)  # fmt: skip
def test_the_last_segment_is_of_the_path_alone(url, segment):
    assert last_segment(url) == segment


def test_hostile_urls_take_no_time():
    """A regular expression that looks back costs seconds on a long run of its own beginnings."""
    started = time.perf_counter()
    for piece in (
        "%3f",
        ";sess",
        "%25",
        "/bot1",
        "%253f",
        "://",
        "@",
        ":",
        "/webhooks/1",
        ";key=",
        "\\",
        "[",
        "%2fbot1%3",
        "%3a%2f%2f",
    ):
        for start, end in (("", ""), ("", ":/x"), ("https://", ""), ("https://example.com/", "")):
            bare_url(start + piece * 100_000 + end)
            last_segment(start + piece * 100_000 + end)
    assert time.perf_counter() - started < 10  # 112 URLs of up to 1.1 MB


def test_a_quoted_name_does_not_close_its_quote():
    assert quoted("it's\n\\") == r"'it\'s\\n\\'"


def test_a_data_url_is_one_in_any_case():
    assert is_data_url("dAtA:,")
    assert not is_data_url("data")
