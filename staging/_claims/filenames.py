"""Make one safe path component of any claimed name.

It is unique within a stage.
"""

import re
from unicodedata import category, normalize

from staging._claims.kinds import PDF, extension_for, kind_of, media_type_of_name
from staging._rare import rare

MAX_NAME_BYTES = 150

# Longer claims keep their head and their tail: normalising a long run of combining marks takes quadratic time.
_HEAD, _TAIL = 800, 100
_LONGEST_EXTENSION = 16
_NUMBER_BYTES = 12  # room for "-2" and up; fixed, so that names which differ only in what is cut share one counter

# Separators and drive colons, and what shells, Windows or a quoted path in a prompt take for syntax.
_FORBIDDEN = re.compile(r"""[/\\<>:"|?*`$';&]""")
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file; CONIN$, CONOUT$ and CLOCK$ lose their dollar anyway.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|(?:com|lpt)[0-9¹²³]) *(?:\.|\Z)", re.IGNORECASE)

# Parts of a user-perceived character (UAX 29) that are no marks by category: Thai and Lao AM, half-width voicing,
# conjoining jamo, skin tones.
_JOINED = rare("[\u0e33\u0eb3\uff9e\uff9f\u1160-\u11ff\ud7b0-\ud7fb\U0001f3fb-\U0001f3ff]")
_REGIONAL = "".join(map(chr, range(0x1F1E6, 0x1F200)))  # two of them make one flag


def safe_name(claimed: str | None, *, fallback: str = "attachment") -> str:
    r"""Return one usable path component for any claim, hostile or absent.

    It never raises on text. The result has these properties:

    * It is never empty, ``.`` or ``..``.
    * It is NFC and printable: no control, format, bidi, zero-width, surrogate, private-use or unassigned character, and
      no space but U+0020.
    * It has no separator and none of ``<>:"|?*`$';&``.
    * It is no Windows device name, with or without extension.
    * It has no leading ``-``, ``.``, ``~`` or space, and no trailing dot or space.
    * It is at most 150 bytes of UTF-8. A longer name is cut between user-perceived characters and keeps its extension.

    A name that has all of them already comes back unchanged, so the function is idempotent.

    Of a path, with slashes or backslashes, the last component that is not empty counts. Invisible characters are
    removed. Other spaces and line breaks become a space, since a model or a shell cannot retype U+202F. Other forbidden
    characters become ``_``. A device name gets a ``_`` in front (as in Chromium).

    Sources: CWE-22, CVE-2021-42574 (bidi), Microsoft's "Naming Files, Paths, and Namespaces" (device
    names, COM¹ included), UAX 15 and UAX 29. NFC comes before the filter because it makes ``;`` of U+037E and a
    backtick of U+1FEF.

    Args:
        claimed: the name as the sender gave it; anything.
        fallback: what to use if nothing of the claim is left. It goes through the same rules.
    """
    return _clean(claimed or "") or _clean(fallback) or "attachment"


def _clean(claim: str) -> str:
    component = claim.replace("\\", "/").rstrip("/").rpartition("/")[2]
    if len(component) > _HEAD + _TAIL:
        component = component[:_HEAD] + component[-_TAIL:]
    text = normalize("NFC", component)
    if not text.isprintable():
        text = "".join(
            char if char.isprintable() else " " if char.isspace() else "" if category(char) in {"Cc", "Cf"} else "_"
            for char in text
        )
    # Once more: what vanished may have stood between a letter and its accent.
    text = normalize("NFC", _FORBIDDEN.sub("_", text)).lstrip(" .-~").rstrip(" .")
    name = "_" + text if _DEVICE.match(text) else text
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    stem, extension = _split_extension(name)
    return _shorten(stem, MAX_NAME_BYTES - len(extension.encode())).rstrip(" .") + extension


def _split_extension(name: str) -> tuple[str, str]:
    """Split a name into its stem and its extension.

    The extension keeps its dot, and a ``.tar`` in front is part of it. With a space or more than 16 characters it is
    none.
    """
    stem, _, suffix = name.rpartition(".")
    if not stem or not 0 < len(suffix) <= _LONGEST_EXTENSION or " " in suffix:
        return name, ""
    if len(stem) > len(".tar") and stem[-4:].lower() == ".tar":
        stem = stem[:-4]
    return stem, name[len(stem) :]


def _shorten(text: str, room: int) -> str:
    """Return the head of `text` that fits into `room` bytes.

    It ends where a user-perceived character ends.
    """
    longest = len(text.encode()[:room].decode(errors="ignore"))
    end = longest
    while 0 < end < len(text):  # as long as the character behind belongs to the one before it
        if text[end] in _REGIONAL:
            joined = (end - len(text[:end].rstrip(_REGIONAL))) % 2 == 1
        else:
            joined = category(text[end]).startswith("M") or _JOINED.match(text, end) is not None
        if not joined:
            break
        end -= 1
    return text[: end or longest]  # one letter with fifty accents has to be cut too


def with_extension(name: str, media_type: str) -> str:
    """Return the name with the extension of the observed type.

    A name whose own extension says something is returned unchanged. Programs that are handed a path open it by its
    extension. ``.bin`` and its kind say nothing, and neither do digits (``Screenshot at 10.30.15``), so a picture, a
    film, a sound or a PDF gets its own behind them. Text keeps the name that it has: ``README``, ``Makefile``.

    Args:
        name: a result of `safe_name`.
        media_type: the observed type.
    """
    extension = extension_for(media_type)
    own = _split_extension(name)[1].lower()
    vague = own in _VAGUE or (own[1:].isdigit() and media_type_of_name(name[: -len(own)]) is None)
    if not extension or (own and not (vague and (kind_of(media_type) != "file" or media_type == PDF))):
        return name
    return _shorten(name, MAX_NAME_BYTES - len(extension)).rstrip(" .") + extension


_VAGUE = frozenset(
    {".bin", ".dat", ".data", ".tmp", ".temp", ".file", ".unknown", ".blob", ".download", ".octet-stream"}
)


class UniqueNames:
    """Makes names that differ on every file system.

    They are unique under case folding and canonical equivalence.

    ``a.png`` and ``A.PNG`` become ``a.png`` and ``A-2.PNG``. The number stands before the extension; a ``.tar`` is
    part of it (``a-2.tar.gz``), because tools know the pair, and nothing else is (``jquery.min-2.js``). Any number of
    equal names takes linear time in all. Numbered names obey the laws of `safe_name`.

    The key is coarser than any one system's rule: ext4, APFS and HFS+ fold case and normalise, NTFS and FAT compare
    upper case, where ``ı`` equals ``I``.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}

    def claim(self, name: str) -> str:
        """Return `name`, or its first numbered form that is free.

        That name is taken from then on.

        Args:
            name: a result of `safe_name`.
        """
        if self._take(name):
            return name
        stem, extension = _split_extension(name)
        stem = _shorten(stem, MAX_NAME_BYTES - _NUMBER_BYTES - len(extension.encode()))
        family = _key(stem + extension)
        number = self._next.get(family, 2)
        while not self._take(f"{stem}-{number}{extension}"):
            number += 1
        self._next[family] = number + 1
        return f"{stem}-{number}{extension}"

    def release(self, name: str) -> None:
        """Let `name`, which was claimed, be claimed again."""
        self._taken.discard(_key(name))

    def _take(self, name: str) -> bool:
        key = _key(name)
        if key in self._taken:
            return False
        self._taken.add(key)
        return True


def _key(name: str) -> str:
    if name.isascii():
        return name.lower()
    return normalize("NFD", normalize("NFD", name).upper().casefold())
