"""The prompt: what was attached and what stands in it, in one text that no attachment can forge."""

import posixpath
import re
from collections.abc import Mapping
from pathlib import Path

import anyio

from staging._models import Outcome, StagedFile
from staging._text import one_line
from staging.llm._files import Stage, UnreadableError
from staging.llm._shares import fair_shares
from staging.llm.extract import XLSX, Excerpt, text_of

_AT_ONCE = 4  # files that are read at once; each holds one excerpt of the whole budget until it is cut

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


async def prompt(stage: Stage, *, max_chars: int = 100_000) -> str:
    """Return the context block and, after it, the contents of every staged file that a model can read.

    No attachment can end its own fence, open a heading or speak as the prompt. Every staged file is named, with its
    contents or the reason why they are not shown; failures and links stand in the context block. The contents are at
    most `max_chars` characters together, shared max-min fairly: small files whole, of large ones the beginning and the
    end around ``[… 12,345 characters omitted …]``. The context block, headings, fences and these lines are the frame,
    and come on top: about 100 characters a file. No outcomes: the empty text.

    Text is decoded by its byte order mark, as UTF-8, or else as windows-1252, and then the heading says that it is a
    guess. PDF (extra ``pdf``), docx, xlsx (extra ``office``) and HTML are shown as their text. Files are read off the
    event loop; converters are bounded (2,000,000 characters and 8 seconds a file, about 100 MB) and killed at
    cancellation.

    Args:
        stage: an open `AttachmentStage`.
        max_chars: characters of contents; 0 shows none.

    Raises:
        StageClosedError: if the stage is not open.
        ValueError: if `max_chars` is negative.
    """
    check_budget("max_chars", max_chars)
    context = stage.context()
    outcomes = tuple(stage.outcomes)
    files, repeated = first_uses(dict(enumerate(outcomes, 1)))
    texts = {**await read_texts(files, max_chars), **repeated}
    shown = [
        shown_text(n, outcomes[n - 1], text) if isinstance(text, Excerpt) else _not_shown(n, outcomes[n - 1], text)
        for n, text in sorted(texts.items())
    ]
    return "\n\n".join(filter(None, [context, *shown]))


def check_budget(name: str, value: float) -> None:
    """Raise `ValueError` for a budget that is negative, or no number."""
    if not value >= 0:
        raise ValueError(f"{name} must be zero or more, not {value!r}")


def first_uses(outcomes: Mapping[int, Outcome]) -> tuple[dict[int, StagedFile], dict[int, str]]:
    """Return the staged files by number, each path once, and for every further use of a path a reason that says so.

    Identical URLs are downloaded once and are two outcomes.
    """
    numbers: dict[Path, int] = {}
    files: dict[int, StagedFile] = {}
    repeated: dict[int, str] = {}
    for number, outcome in outcomes.items():
        if isinstance(outcome, StagedFile):
            first = numbers.setdefault(outcome.path, number)
            if first == number:
                files[number] = outcome
            else:
                repeated[number] = f"it is the same file as attachment {first}"
    return files, repeated


async def read_texts(files: Mapping[int, StagedFile], max_chars: int) -> dict[int, Excerpt | str]:
    """Return, for every number, the file's fair share of `max_chars` characters, or the reason why there is none."""
    found: dict[int, Excerpt | str] = {}
    places = anyio.CapacityLimiter(_AT_ONCE)

    async def read(number: int, file: StagedFile) -> None:
        async with places:
            try:
                found[number] = await text_of(file, max_chars)
            except UnreadableError as error:
                found[number] = str(error)
        if sum(text.kept for text in found.values() if isinstance(text, Excerpt)) > max_chars:
            _share_out(found, max_chars)

    async with anyio.create_task_group() as group:
        for number, file in files.items():
            group.start_soon(read, number, file)
    return {number: found[number] for number in files}


def _share_out(found: dict[int, Excerpt | str], max_chars: int) -> None:
    """Cut every excerpt to its share; shares only shrink as files are added, so this can be done at any time."""
    texts = {number: text for number, text in found.items() if isinstance(text, Excerpt)}
    shares = fair_shares(max_chars, [text.total for text in texts.values()])
    found.update({number: text.cut(share) for (number, text), share in zip(texts.items(), shares, strict=True)})


def quoted(name: str) -> str:
    """Return a display name in quotes that it cannot close, as the context block writes it."""
    return "'" + one_line(name).replace("\\", "\\\\").replace("'", "\\'") + "'"


def shown_text(number: int, outcome: Outcome, text: Excerpt) -> str:
    """Return a heading and the excerpt in a fence that nothing inside can close."""
    remark = f" ({text.remark})" if text.remark else ""
    gap = f"\n[… {text.omitted:,} characters omitted …]\n" if text.omitted else ""
    body = text.head + gap + text.tail
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", body)), default=0))
    end = "" if body.endswith("\n") else "\n"
    heading = f"[Contents of attachment {number}, {quoted(outcome.name)}{remark}:]"
    return f"{heading}\n{fence}{_language(outcome, text)}\n{body}{end}{fence}"


def _not_shown(number: int, outcome: Outcome, reason: str) -> str:
    return f"[Contents of attachment {number}, {quoted(outcome.name)}, not shown: {reason}]"


def _language(outcome: Outcome, text: Excerpt) -> str:
    """Return the fence's info string: from our tables only, since the name is the sender's."""
    media_type = outcome.media_type if isinstance(outcome, StagedFile) else ""
    if text.converted:
        return "csv" if media_type == XLSX else "text"
    name = outcome.name.lower()
    by_name = _KNOWN_NAMES.get(name) or _LANGUAGES.get(posixpath.splitext(name)[1][1:])
    return by_name or _BY_TYPE.get(media_type, "text")
