"""Make words safe for people, logs and prompts.

They are on one line, without secrets, and without characters that act on a terminal.
"""

import re

from staging._rare import rare

_UNITS = ("bytes", "KB", "MB", "GB", "TB")
_LONGEST_URL = 8000  # characters that are looked at; more are never shown

# A URL as far as it goes, however malformed: any "scheme:", any slashes and spaces, the authority, the path.
_PARTS = rare(r"([^:/\\@]*:)?([/\\\s]*)([^/\\]*)(.*)", re.DOTALL)
# Nearly all URLs are like this: their parts are where they seem to be, and the path has no secrets. 1 us, not 25.
_ORDINARY = re.compile(
    r"https?://[a-z0-9.-]+(?::[0-9]+)?((?:/(?!(?i:api|webhookb2)/)[\w.~+=,!()-]*)*)(?![^?#])", re.ASCII
)
_HOST = rare(r"(?:\[[^\]@]*\]|[^:@%\[\]]*)(?::[0-9]*)?")

_TELLING = "sess|sid|token|sig|secret|key|auth|pass|pwd|jwt"


def _spelled(*words: str) -> str:
    """Return an expression for one of the words, any letter of it perhaps percent-encoded."""
    return "|".join("".join(f"(?:{letter}|%(?:25)*{ord(letter):x})" for letter in word) for word in words)


_COLON, _SLASH = "(?::|%(?:25)*3a)", r"(?:[/\\]|%(?:25)*(?:2f|5c))"
_NUMBER = "(?:[0-9]|%(?:25)*3[0-9])+"
_SECRETS = (
    # userinfo of a URL in a path, as archives and proxies have them; a part without any is looked at once
    (
        rare(rf"({_COLON}{_SLASH}+)(?:[^/\\@]*(?:@|%(?:25)*40)|((?:(?!{_COLON}[/\\])[^/\\])*))", re.IGNORECASE),
        r"\1\2",
    ),
    # https://core.telegram.org/bots/api#getfile: the token of a bot, any part of it perhaps percent-encoded
    (
        rare(rf"((?:^|{_SLASH})\s*(?:{_spelled('bot')}){_NUMBER}{_COLON})[^/\\]+", re.IGNORECASE),
        r"\1…",
    ),
    # https://docs.discord.com/developers/resources/webhook, and interactions: a number, then the token
    (
        rare(rf"({_SLASH}(?:{_spelled('webhooks', 'interactions')}){_SLASH}+{_NUMBER}{_SLASH}+)[^/\\]+", re.IGNORECASE),
        r"\1…",
    ),
    # https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks, workflows and triggers too
    (rare(r"(\bhooks\.slack(?:-gov)?\.com[^/]*/[a-z]+/).*", re.IGNORECASE | re.DOTALL), r"\1…"),
    # https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook
    (rare(r"(/webhookb2/).*", re.IGNORECASE | re.DOTALL), r"\1…"),
    # the session of a server that puts it into the path (RFC 3986, section 3.3, on parameters)
    (rare(rf";[^/\\;=]{{0,40}}?(?:{_TELLING})[^/\\;=]{{0,40}}=[^/\\;]*", re.IGNORECASE), ""),
    # a query or a fragment that was percent-encoded together with its mark
    (rare(r"%(?:25)*(?:3f|23)(?:(?!%(?:25)*(?:3[df]|23))[^/\\=])*(?:=|%(?:25)*3d)[^/\\]*", re.IGNORECASE), ""),
)


def one_line(text: str, *, limit: int = 300) -> str:
    """Return `text` as one printable line of at most `limit` characters.

    Everything that is not printable is shown as its backslash escape, so that no sender can end, forge or reorder a
    line: controls, bidi and zero-width format characters, line and paragraph separators, surrogates, private use,
    unassigned (Unicode categories C* and Z* but for the space). Idempotent.
    """
    if not (text.isascii() and text.isprintable()):
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text[:limit])
    return text if len(text) <= limit else text[: limit - 1] + "…"


def quoted(name: str) -> str:
    r"""Return `name` in single quotes, as one printable line.

    No character of the name closes the quotes.
    """
    escaped = one_line(name).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def bare_url(url: str, *, limit: int = 2000) -> str:
    """Return `url` without what carries secrets, as one printable line.

    Query, fragment and userinfo are left out, also where the URL is malformed. So are the secrets that some services
    put into a path: a bot's token at Telegram, the tokens of webhooks, a server's session. Of a ``data:`` URL the data
    are left out.
    """
    if ordinary := _ordinary(url):
        return one_line(ordinary[0], limit=limit)
    if is_data_url(url):
        head, comma, _ = url[:200].partition(",")
        return one_line(f"{head}{comma}…", limit=limit)
    return one_line(_without_secrets(url, slice(_LONGEST_URL)), limit=limit)


def last_segment(url: str) -> str:
    """Return the last segment of a URL's path, without secrets."""
    if ordinary := _ordinary(url):
        return ordinary[1].rpartition("/")[2]
    if is_data_url(url):
        return ""
    scheme, slashes, start, path = _parts(_without_secrets(url, slice(-_LONGEST_URL, None)))
    return (path if scheme or slashes else start + path).rpartition("/")[2]


def is_data_url(url: str) -> bool:
    """Tell whether this URL has its bytes in itself (RFC 2397)."""
    return url[:100].lstrip()[:5].lower() == "data:"


def _ordinary(url: str) -> re.Match[str] | None:
    return None if len(url) > _LONGEST_URL or "@" in url or "//hooks." in url else _ORDINARY.match(url)


def _parts(url: str) -> tuple[str, str, str, str]:
    """Return scheme, slashes, authority and path, as much of each as there is."""
    match = _PARTS.match(url)
    return (match[1] or "", match[2], match[3], match[4]) if match else ("", "", "", "")


def _without_secrets(url: str, looked_at: slice) -> str:
    query = min(found for mark in "?#" if (found := url.find(mark)) >= 0) if "?" in url or "#" in url else len(url)
    visible = url[:query]  # no copy of five megabytes behind it
    scheme, slashes, authority, path = _parts(visible)
    host = authority.rpartition("@")[2]
    # To its author, "https://bob:pa/ss@host" and "https://bob:pa?ss@host" have a password, and the host behind it.
    torn = ("@" in path or url.find("@", len(visible)) >= 0) and (":" in host or "." not in host)
    if (scheme or slashes) and (torn or not _HOST.fullmatch(host)):
        _, at, behind = path.rpartition("@")
        host, path = ("", behind) if at else ("…", "" if torn else path)
    parts = (scheme, slashes, host, path)  # any of them may be megabytes
    shown = "".join(part[looked_at] for part in parts)
    for secret, instead in _SECRETS:
        shown = secret.sub(instead, shown)
    return shown


def format_size(size: float) -> str:
    """Return a number of bytes as a person writes it.

    An example is ``61.2 MB``. The units are powers of 1,024.
    """
    if size == 1:
        return "1 byte"
    value, unit = float(size), 0
    while value >= 1000 and unit < len(_UNITS) - 1:  # 1000, not 1024: "1 MB" is easier to read than "1010 KB"
        value, unit = value / 1024, unit + 1
    number = f"{value:.1f}".removesuffix(".0")
    return f"{number} {_UNITS[unit]}"


def describe_limit(size: int | None, limit: int) -> str:
    """Return the line for what is over a limit.

    The two numbers in it never look the same.

    Args:
        size: bytes that there are; None if all that is known is that they are too many.
        limit: bytes that are allowed.
    """
    allowed = format_size(limit)
    shown = f"more than {allowed}" if size is None else format_size(size)
    if shown == allowed:
        shown = f"{size:,} bytes"
    return f"too large: {shown}, the limit is {allowed}"
