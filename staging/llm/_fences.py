"""Show a text under a heading and in a fence.

No name can forge the heading, and no text can close the fence.
"""

import posixpath
import re
from collections.abc import Sequence

from staging._models import StagedFile
from staging._text import quoted
from staging.llm.extract import Excerpt

# fmt: off
_LANGUAGES = {
    "asm": "asm", "s": "asm", "bash": "bash", "sh": "bash", "zsh": "bash", "bat": "bat", "cmd": "bat", "c": "c",
    "h": "c", "cc": "cpp", "cpp": "cpp", "cxx": "cpp", "hh": "cpp", "hpp": "cpp", "clj": "clojure",
    "cmake": "cmake", "cs": "csharp", "css": "css", "csv": "csv", "d": "d", "dart": "dart", "diff": "diff",
    "patch": "diff", "dockerfile": "dockerfile", "ex": "elixir", "exs": "elixir", "elm": "elm", "erl": "erlang",
    "f90": "fortran", "fs": "fsharp", "go": "go", "gql": "graphql", "graphql": "graphql", "groovy": "groovy",
    "gradle": "groovy", "hs": "haskell", "hcl": "hcl", "tf": "hcl", "html": "html", "htm": "html", "ini": "ini",
    "cfg": "ini", "conf": "ini", "env": "ini", "properties": "ini", "java": "java", "js": "javascript",
    "cjs": "javascript", "mjs": "javascript", "jsx": "jsx", "json": "json", "jsonc": "json", "ipynb": "json",
    "jsonl": "jsonl", "ndjson": "jsonl", "jl": "julia", "kt": "kotlin", "kts": "kotlin", "tex": "latex",
    "less": "less", "lisp": "lisp", "el": "lisp", "log": "text", "lua": "lua", "mk": "makefile", "md": "markdown",
    "markdown": "markdown", "mdx": "markdown", "m": "matlab", "nim": "nim", "nix": "nix", "mm": "objectivec",
    "ml": "ocaml", "mli": "ocaml", "pas": "pascal", "pl": "perl", "pm": "perl", "php": "php", "ps1": "powershell",
    "psm1": "powershell", "proto": "protobuf", "py": "python", "pyi": "python", "pyw": "python", "r": "r",
    "rb": "ruby", "rs": "rust", "rst": "rst", "sass": "sass", "scala": "scala", "scss": "scss", "sol": "solidity",
    "sql": "sql", "svelte": "svelte", "svg": "xml", "swift": "swift", "toml": "toml", "ts": "typescript",
    "mts": "typescript", "cts": "typescript", "tsv": "tsv", "tsx": "tsx", "txt": "text", "v": "verilog",
    "vb": "vbnet", "vhd": "vhdl", "vim": "vim", "vue": "vue", "xml": "xml", "xsd": "xml", "xsl": "xml",
    "yaml": "yaml", "yml": "yaml", "zig": "zig",
}
_KNOWN_NAMES = {
    "dockerfile": "dockerfile", "containerfile": "dockerfile", "makefile": "makefile", "gnumakefile": "makefile",
    "cmakelists.txt": "cmake", "gemfile": "ruby", "rakefile": "ruby", "vagrantfile": "ruby", "podfile": "ruby",
    "jenkinsfile": "groovy", "justfile": "makefile", "pipfile": "toml", "cargo.lock": "toml", "poetry.lock": "toml",
    "uv.lock": "toml", "go.mod": "go", "go.sum": "text", "build.bazel": "python", "tiltfile": "python",
    ".bashrc": "bash", ".profile": "bash", ".zshrc": "bash", ".vimrc": "vim", ".gitconfig": "ini",
    ".editorconfig": "ini", ".gitignore": "text", ".dockerignore": "text",
}
# fmt: on
_BY_TYPE = {"application/json": "json", "text/xml": "xml", "image/svg+xml": "xml"}


def body_of(text: Excerpt) -> str:
    """Return the beginning and the end of a text.

    A line between them says how much is left out.
    """
    text = text.at_lines()
    if not text.omitted:
        return text.head
    start = "" if text.head.endswith("\n") else "\n"
    return f"{text.head}{start}[… {text.omitted:,} characters omitted …]\n{text.tail}"


def section(number: int, file: StagedFile, text: Excerpt) -> str:
    """Return a heading and the excerpt in a fence.

    The fence is longer than any run of backticks inside (CommonMark, 4.5).
    """
    remark = f" ({text.remark})" if text.remark else ""
    body = body_of(text)
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", body)), default=0))
    end = "" if body.endswith("\n") else "\n"
    if text.converted:
        language = text.language or "text"
    else:  # it comes from our tables only, since the sender chose the name
        name = file.name.lower()
        by_name = _KNOWN_NAMES.get(name) or _LANGUAGES.get(posixpath.splitext(name)[1][1:])
        language = by_name or _BY_TYPE.get(file.media_type, "text")
    heading = f"[Contents of attachment {number}, {quoted(file.name)}{remark}:]"
    return f"{heading}\n{fence}{language}\n{body}{end}{fence}"


def not_shown(numbers: Sequence[int], name: str, reason: str) -> str:
    """Return the line for attachments without contents.

    It serves for one, or for several with the same reason.
    """
    if len(numbers) == 1:
        return f"[Contents of attachment {numbers[0]}, {quoted(name)}, not shown: {reason}]"
    return f"[Contents of attachments {ranges(numbers)}, not shown: {reason}]"


def ranges(numbers: Sequence[int]) -> str:
    """Return rising numbers as a person writes them, such as ``1 to 3, 5``."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][-1] + 1:
            found[-1] = [found[-1][0], number]
        else:
            found.append([number])
    return ", ".join(" to ".join(map(str, pair)) for pair in found)
