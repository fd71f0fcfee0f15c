"""What hostile senders write, for the laws in this folder."""

import unicodedata

from hypothesis import strategies as st

FORBIDDEN = set("<>:\"|?*`$';&/\\\n")
UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
MAX_BYTES = 150

DEVICES = ("CON", "prn", "Aux", "NUL", "COM0", "com1", "COM¹", "LPT9", "lpt³", "CONIN$", "conout$", "CLOCK$")
HAZARDS = (
    *DEVICES,
    *("/", "\\", "..", ".", "-", "~", " ", ":", "C:", "\\\\?\\", "\0", "\n", "\r", "\x1b[2J", "\x7f", "\x85"),
    *("\u202e", "\u2066", "\u200b", "\u200d", "\ufeff", "\u2028", "\u2029", "\xad", "\U000e0041"),
    *("\ud800", "\udfff", "\ue000", "\ufdd0", "\uffff", "\U0010ffff", "\u0378"),
    *(
        "\u037e",
        "\u1fef",
        "\u212a",
        "\u0301",
        "\u0316",
        "\u0345",
        "e\u0301",
        "e\u200b\u0301",
        "\u1100\u1161\u11a8",
        "\u0e01\u0e33",
    ),
    *("\xa0", "\u3000", "\u202f", "日本", "é", "🇫🇷", "👍🏽", "İ", "ß", "ſ", "%2F", *sorted(FORBIDDEN)),
    *(".png", ".PNG", ".tar.gz", ".", ".html", "a" * 140, "あ" * 60, "e\u0316\u0301" * 60, "🇫🇷" * 30),
)

hazards = st.lists(st.sampled_from(HAZARDS), min_size=1, max_size=12).map("".join)
mixed = st.lists(st.sampled_from(HAZARDS) | st.text(max_size=3), min_size=1, max_size=12).map("".join)
hidden = st.tuples(st.text(max_size=5), st.sampled_from(HAZARDS), st.text(max_size=5)).map("".join)
anything = st.text(st.characters(), max_size=60)  # lone surrogates, private use and unassigned included

composing = st.text("ea=\u1100\u1161\u11a8\u0301\u0316\u0345\u200b\u200d\u037e\u1fef\u212a", max_size=12)

claims = hazards | mixed | composing | hidden | anything
"""Any claim: free text and text made of everything that ever broke a name."""

fallbacks = st.just("attachment") | claims

extensions = st.from_regex(r"(?:\.tar)?\.[A-Za-z0-9]{1,10}", fullmatch=True)

_letters = st.characters(categories=["Lu", "Ll", "Lo", "Nd"], exclude_characters="\u0e33\u0eb3")
_inner = st.one_of(_letters, st.sampled_from(" _-()[]+,.=@#!{}^%~"))


def _is_ordinary(name: str) -> bool:
    stem = name.partition(".")[0].rstrip(" ").upper()
    devices = {device.upper() for device in DEVICES} | {
        f"{port}{n}" for port in ("COM", "LPT") for n in "0123456789¹²³"
    }
    return stem not in devices and len(name.encode()) <= MAX_BYTES


ordinary_names = (
    st.tuples(_letters, st.text(_inner, max_size=40), _letters, extensions | st.just(""))
    .map("".join)
    .map(lambda name: unicodedata.normalize("NFC", name))
    .filter(_is_ordinary)
)
"""Names in any script that obey every law as they are."""

long_names = st.tuples(
    st.sampled_from(("a", "é", "日", "🇫🇷", "👍🏽", "e\u0316\u0301", "กำ", "한", "x y", "a\u0316")),
    st.integers(30, 400),
    extensions,
).map(lambda parts: (parts[0] * parts[1] + parts[2], parts[2]))
"""Names over the limit in most cases, each with its extension."""
