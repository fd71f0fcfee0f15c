"""Regular expressions that most processes never use.

To compile all expressions of this library would be a quarter of the time of `import staging`.
"""

import re
from typing import Any, AnyStr, cast


class _Rare:
    def __init__(self, *args: Any) -> None:
        self._args = args

    def __getattr__(self, name: str) -> Any:
        return getattr(re.compile(*self._args), name)  # `re` keeps what it has compiled


def rare(pattern: AnyStr, flags: int = 0) -> "re.Pattern[AnyStr]":
    """Return an expression that is compiled at its first use."""
    return cast("re.Pattern[AnyStr]", _Rare(pattern, flags))
