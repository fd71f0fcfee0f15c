"""Regular expressions that most processes never use.

To compile all expressions of this library would be a quarter of the time of `import staging`.
"""

import re
from typing import Any, AnyStr, cast


class _Rare:
    def __init__(self, *args: Any) -> None:
        self._args = args

    def __getattr__(self, name: str) -> Any:
        method = getattr(re.compile(*self._args), name)
        setattr(self, name, method)  # the next call finds it here: some are made for each byte of a file
        return method


def rare(pattern: AnyStr, flags: int = 0) -> "re.Pattern[AnyStr]":
    """Return an expression that is compiled at its first use."""
    return cast("re.Pattern[AnyStr]", _Rare(pattern, flags))
