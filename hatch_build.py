"""Fill the repository's address into what a package index shows.

The address is one variable, `repository` below ``[tool.hatch.metadata.hooks.custom]`` in pyproject.toml. An index has
no place to which a relative link could lead. So in the long description such links become absolute while the address is
known, and plain words while it is not. A plug-in of hatchling would do the first, but not the second.
"""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"(!?)\[([^]]*)\]\((?!https?:|mailto:|#)([^)\s]+)\)")
_PLACEHOLDER = "$REPOSITORY"


def long_description(readme: str, repository: str) -> str:
    """Return the README as an index shows it: without relative links."""

    def absolute(link: re.Match[str]) -> str:
        picture, words, path = link.groups()
        if repository:
            return f"{picture}[{words}]({repository}/{'raw' if picture else 'blob'}/HEAD/{path})"
        return "" if picture else words

    return _LINK.sub(absolute, readme).replace(_PLACEHOLDER, repository or _PLACEHOLDER)


def urls(repository: str) -> dict[str, str]:
    """Return the addresses beside the description; none while the repository has none."""
    if not repository:
        return {}
    return {
        "Source": repository,
        "Issues": f"{repository}/issues",
        "Changelog": f"{repository}/blob/HEAD/README.md#changelog",
    }


class Hook(MetadataHookInterface):
    """Give hatchling the description and the addresses."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add what depends on the repository's address."""
        repository = str(self.config.get("repository", "")).rstrip("/")
        text = long_description(Path(self.root, "README.md").read_text("utf-8"), repository)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
        metadata["urls"] = urls(repository)
