"""The laws of a safe name, told without the code under test, and hostile names by kind.

Sources: CWE-22; https://learn.microsoft.com/windows/win32/fileio/naming-a-file (devices, characters, trailing dots,
streams); UAX 15 and UAX 29; CVE-2021-42574 (bidirectional text); RFC 3986; what shells and prompts take for syntax.
"""

import unicodedata
from itertools import product

DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"} | {
    f"{port}{number}" for port in ("COM", "LPT") for number in "0123456789¹²³"
}
SYNTAX = set("/\\<>:\"|?*`$';&\n")


def broken_laws(name):
    """Return the laws that `name` breaks."""
    laws = {
        "dot name or empty": name in {"", ".", ".."},
        "character": any(unicodedata.category(c)[0] == "C" or (c != " " and c.isspace()) for c in name),
        "syntax": bool(set(name) & SYNTAX),
        "normalisation": not unicodedata.is_normalized("NFC", name),
        "device": name.partition(".")[0].rstrip(" ").upper() in DEVICES,
        "start": name[:1] in set("-.~ "),
        "end": name[-1:] in set(". "),
        "length": len(name.encode(errors="surrogatepass")) > 150,
    }
    return {law for law, broken in laws.items() if broken}


_CASES = (str.upper, str.lower, str.capitalize)
HOSTILE = {
    "device": [
        case(device) + after
        for device, case, after in product(
            sorted(DEVICES),
            _CASES,
            ("", ".txt", ".tar.gz", " .txt", "  ", ".", "...", ":x", "::$DATA", "\u200b.png", "\xa0"),
        )
    ],
    "path": [
        before + step * times + name
        for before, step, times, name in product(
            ("", "/", "C:\\", "\\\\server\\share\\", "\\\\?\\", "file:///"),
            ("../", "..\\", "./", "a/"),
            (1, 9),
            ("b.png", "..", ".", ""),
        )
    ],
    "invisible": [
        pattern.format(char)
        for char, pattern in product(
            (
                "\u202e",
                "\u202d",
                "\u2066",
                "\u2069",
                "\u200b",
                "\u200c",
                "\u200d",
                "\u2060",
                "\ufeff",
                "\u00ad",
                "\u061c",
                "\u180e",
                "\U000e0041",
                "\U000e007f",
                "\u2028",
                "\u2029",
                "\x85",
                "\xa0",
                "\u202f",
                "\u3000",
                "\u1680",
            ),
            ("{}", "{}a.png", "a{}.png", "a.{}png", "a.png{}", "a{}\u0301.png"),
        )
    ],
    "control": [f"a{chr(code)}b.png" for code in (*range(0x20), *range(0x7F, 0xA0))],
    "no character": [
        f"a{char}.png" for char in ("\ud800", "\udfff", "\ue000", "\uf8ff", "\ufdd0", "\uffff", "\U0010ffff")
    ],
    "syntax": [
        name
        for char in sorted(SYNTAX)
        for name in (char, f"{char}a.png", f"a{char}b.png", f"a.png{char}", f"{char * 3}a.png{char * 3}")
    ]
    + [
        "$(id).png",
        "`id`.png",
        "a;rm -rf .png",
        "a&b",
        "%COMSPEC%$x",
        "{{7*7}}'",
        "<img src=x>",
        "a\r\nb\n2. FILE 'c'",
    ],
    "ends": [
        before + "a.png" + after
        for before, after in product(
            ("", "-", "--", ".", "...", "~", "~$", " ", " -. "), ("", ".", "...", " ", " . ", "\u200b. ")
        )
        if before or after
    ],
    "stream": ["a.txt:b", "a.txt:b:$DATA", "a.txt::$INDEX_ALLOCATION", "a:b.png", "AUX:x"],
    "normal form": [
        "e\u0301.png",
        "A\u030a.png",
        "\u212b.png",
        "\u212a.png",
        "a\u037e.png",
        "\u1fef.png",
        "\u1112\u1161\u11ab.txt",
        "\uf900.txt",
        "a\u0323\u0307.png",
        "a\u0307\u0323.png",
    ],
    "long": [
        unit * count + extension
        for unit, count, extension in product(
            (
                "a",
                "é",
                "日",
                "🎉",
                "🇫🇷",
                "👍🏽",
                "e\u0316\u0301",
                "नि",
                "กำ",
                "x.",
                "x ",
                "\U0001f468\u200d\U0001f469\u200d\U0001f467",
            ),
            (80, 151, 5000),
            ("", ".png", ".tar.gz", "." + "e" * 16, "." + "e" * 17, ". png"),
        )
    ],
}
"""Names that break at least one law each, by kind."""

ORDINARY = (
    "report.pdf", "Report (final) v2.docx", "日本語の資料.pdf", "Отчёт.xlsx", "Übersicht März.txt",
    "photo_2026-11-25.jpeg",
    "IMG_0001.HEIC", "a+b=c.txt", "100%.csv", "[draft] notes.md", "x{1}.log", "SPOILER_end.png", "❤️.png", "Makefile",
    "archive.tar.gz", "v1.2.3", "a..b.txt", "user@example.com.eml", "c#.cs", "hey!.gif", "a, b.txt", "CONSOLE.txt",
    "auxiliary.h", "COM10.txt", "null.json", "desktop.ini", "x.{20D04FE0-3AEA-1069-A2D8-08002B30309D}", "ﬁle.png",
    "한국어.hwp", "नमस्ते.txt", "عربي.pdf", "a^b.txt", "tilde~1.txt", "dash-.txt", "ＣＯＮ.txt", "COM⁴.txt",
)  # fmt: skip
"""Names that break none."""
