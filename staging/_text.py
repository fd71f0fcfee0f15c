"""Words for people, logs and prompts: one line, no secrets, no character that acts on a terminal."""

import re

_BOT_TOKEN = re.compile(r"(/bot[0-9]+:)[^/]+")
_UNITS = ("bytes", "KB", "MB", "GB", "TB")


def one_line(text: str, *, limit: int = 300) -> str:
    """Return `text` as one printable line of at most `limit` characters.

    Everything that is not printable (controls, bidi and zero-width format characters, line and paragraph separators,
    surrogates, private use, unassigned; Unicode categories C* and Z* but for the space) is shown as its backslash
    escape, so that no sender can end, forge or reorder a line. Idempotent.
    """
    if not (text.isascii() and text.isprintable()):
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text[:limit])
    return text if len(text) <= limit else text[: limit - 1] + "…"


def bare_url(url: str, *, limit: int = 2000) -> str:
    """Return `url` without query, fragment and userinfo, as one printable line: they carry secrets.

    The path is shown, except for a bot's token in one of Telegram's (https://core.telegram.org/bots/api#getfile).
    """
    bare = _BOT_TOKEN.sub(r"\1…", url.partition("#")[0].partition("?")[0])
    scheme, mark, rest = bare.partition("://")
    if mark:
        authority, slash, path = rest.partition("/")
        bare = scheme + mark + authority.rpartition("@")[2] + slash + path
    return one_line(bare, limit=limit)


def last_segment(url: str) -> str:
    """Return the last segment of a URL's path, as it stands; never the host, the query or the fragment."""
    path = url.partition("#")[0].partition("?")[0]
    scheme, mark, rest = path.partition("://")
    if mark and "/" not in scheme:
        path = rest.partition("/")[2]
    return path.rpartition("/")[2]


def format_size(size: float) -> str:
    """Return a number of bytes as a person writes it, in units of 1,024: ``50 MB``, ``61.2 MB``, ``812 bytes``."""
    if size == 1:
        return "1 byte"
    value, unit = float(size), 0
    while value >= 1000 and unit < len(_UNITS) - 1:  # 1000, not 1024: "1010 KB" reads worse than "1 MB"
        value, unit = value / 1024, unit + 1
    number = f"{value:.1f}".removesuffix(".0")
    return f"{number} {_UNITS[unit]}"
