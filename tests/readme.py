"""The README, the page of recipes beside the examples, and the programs in them."""

import ast
import inspect
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
PAGE = (ROOT / "examples" / "recipes.md").read_text("utf-8")
PRIVATE, PROXY, TEST = (
    "Private files (Slack and the like)",
    "Proxies, mocks, your own trust store",
    "Test your bot",
)
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def programs():
    """Return the program below each heading; no heading has two."""
    heading, found = "", {}
    for title, language, code in re.findall(rf"^#+ ([^\n]+)$|{FENCE.pattern}", f"{README}\n{PAGE}", FENCE.flags):
        heading = title or heading
        if language == "python":
            assert heading not in found, f"two programs below {heading!r}: give the second a heading, and a test"
            found[heading] = code
    return found


async def run(heading, **names):
    """Run the program below `heading` as it stands, given `names` for what it leaves open; return all its names."""
    code = compile(programs()[heading], heading, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, names)
    if inspect.iscoroutine(result):
        await result
    return names
