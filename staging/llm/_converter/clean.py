"""Take out what a model would read and a person does not see.

These are NUL, terminal sequences and invisible characters.

They are taken out and counted, so that the heading can tell. The parent of the converter cleans every text with it.
"""

import re
from collections import Counter

_ANSI = re.compile(  # ECMA-48, 5.4 (CSI) and 8.3.89 (OSC), and the escapes of two and three characters
    "\x1b(?:\\[[0-?]{0,64}[ -/]{0,8}[@-~]|\\][^\x07\x1b\n]{0,4096}(?:\x07|\x1b\\\\)"
    "|[PX^_][^\x1b\n]{0,4096}\x1b\\\\|[ -/]{1,3}[0-~]|[0-OQ-WYZ\\\\`-~])"
)
_UNENDED = re.compile(f"\x1b(?!{_ANSI.pattern[1:]})")  # what follows may make a sequence of it
_FLAG = (
    "\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,6}\U000e007f"  # the flags of England and others: UTS 51
)
_JOINER = "(?<=[^\x00-\u02ff])[\u200c\u200d](?=[^\x00-\u02ff\u200b-\u200f\u2060-\u2064\ufe00-\ufe0f])"
_INVISIBLE = re.compile(
    f"(?P<kept>{_FLAG}|{_JOINER}|"
    "(?<=[^\ufe00-\ufe0f\U000e0100-\U000e01ef])[\ufe0e\ufe0f](?![\ufe00-\ufe0f\U000e0100-\U000e01ef]))"
    "|(?P<tag>[\U000e0000-\U000e007f])"
    "|(?P<bidi>[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069])"
    "|(?P<zero>[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u2065\u206a-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0100-\U000e01ef])"
)
_STRANGE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff\ud800-\udfff]"
)
_ENDS = {"\r\n": "\n", "\r": "\n", "\x0b": "\n", "\x0c": "\n", "\x85": "\n", "\u2028": "\n", "\u2029": "\n"}
_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_STRUCK = re.compile("[^\n\b]\b")  # what a backspace struck out on the screen
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_HELD = 4200  # characters that wait for the next piece, if a terminal sequence may go on there
_ROUNDS = 8  # backspaces in a row that strike something out
_AHEAD = 7  # characters behind the first one of a flag, which is the longest that is looked for


class Cleaner:
    """Takes out what no reader sees, piece by piece, and counts it.

    NUL and terminal sequences go. A backspace strikes out what stands before it. Other control characters are shown as
    their pictures (U+2400), since some separate fields. Tags, bidi controls and zero-width characters go, except where
    a script or an emoji needs them. Line ends become a newline.
    """

    def __init__(self) -> None:
        self._held = ""
        self._end = ""
        self._last = [""] * _ROUNDS  # of each round, the character that a backspace may follow
        self._before = ""  # the character in front of those that wait
        self._waiting = ""
        self.counts: Counter[str] = Counter()

    def feed(self, text: str) -> str:
        """Return the cleaned text so far as it is certain."""
        text = self._held + text
        self._held = ""
        if text.endswith("\r"):
            text, self._held = text[:-1], "\r"
        if unended := _UNENDED.search(text, max(0, len(text) - _HELD)):
            text, self._held = text[: unended.start()], text[unended.start() :] + self._held
        return self._clean(text, closing=False)

    def close(self) -> str:
        """Return what was held back."""
        text, self._held = self._held, ""
        return self._clean(text, closing=True)

    def _clean(self, text: str, *, closing: bool) -> str:
        if _STRANGE.search(text):
            text = self._without(_ANSI, "terminal sequence", _LINE_ENDS.sub("\n", text))
        text = self._end + text
        self._end = "\x1a" if text.endswith("\x1a") else ""  # the end of a DOS text, if no more comes
        text = text.removesuffix("\x1a")
        for at, last in enumerate(self._last):
            text = last + text
            certain = len(text) if closing or text.endswith("\b") else len(text) - 1
            text, self._last[at] = text[:certain], text[certain:]
            if "\b" in text:
                text = self._without(_STRUCK, "overstruck character", text)
        return self._visible(text, closing=closing)

    def _visible(self, text: str, *, closing: bool) -> str:
        """Return the text without what is invisible, so far as its neighbours are known."""
        start = len(self._before)
        text = self._before + self._waiting + text
        strange = _STRANGE.search(text)
        text = _CONTROL.sub(self._control, text) if strange else text
        end = len(text) if closing else max(start, len(text) - _AHEAD)
        flag = text.rfind("\U0001f3f4", max(start, end - _AHEAD), end)
        end = flag if flag >= 0 and not closing else end  # a flag is not cut
        self._before, self._waiting = text[max(0, end - 1) : end], text[end:]
        if not strange:
            return text[start:end]
        seen = _INVISIBLE.sub(lambda found: self._invisible(found) if start <= found.start() < end else found[0], text)
        return _SURROGATES.sub("\ufffd", seen[start : len(seen) - len(self._waiting)])

    def _without(self, pattern: re.Pattern[str], what: str, text: str) -> str:
        text, count = pattern.subn("", text)
        self.counts[what] += count
        return text

    def _control(self, found: re.Match[str]) -> str:
        c = found[0]
        if c in "\0\b\x07\x1b" or c >= "\x80":
            self.counts["NUL" if c == "\0" else "control character"] += 1
            return ""
        self.counts["shown"] += 1
        return "\u2421" if c == "\x7f" else chr(0x2400 + ord(c))

    def _invisible(self, found: re.Match[str]) -> str:
        if found.lastgroup == "kept":
            return found[0]
        self.counts[_INVISIBLE_NAMES[found.lastgroup or ""]] += found[0] != "\ufeff" or found.start() > 0
        return ""

    def remark(self) -> str:
        """Return in words what was taken out, for the heading.

        The text is empty if nothing was.
        """
        gone = [f"{n:,} {what}{'s' * (n != 1)}" for what, n in self.counts.items() if n and what != "shown"]
        parts = [f"{', '.join(gone)} taken out"] if gone else []
        if shown := self.counts["shown"]:
            parts.append(f"{shown:,} control character{'s' * (shown != 1)} shown as pictures")
        return ", ".join(parts)


_INVISIBLE_NAMES = {"tag": "invisible tag character", "bidi": "invisible bidi control", "zero": "zero-width character"}
