"""Classes whose `help` is short enough to be read."""

_SHOWN = frozenset({"__fspath__"})


class Readable(type):
    """The type of a class that lists what its users need.

    `help` asks `dir` of a class what to show. Without this, most of the answer would be methods that every dataclass
    or exception has: ``__eq__``, ``__hash__``, ``__setstate__``. How to make an instance is in the first line that
    `help` shows. What `dir` of an instance lists is not changed.
    """

    def __dir__(cls) -> list[str]:
        """Return the names that `help` shows.

        Names between double underscores are left out, and so is what every exception has.
        """
        inherited = set(dir(Exception))
        return [name for name in super().__dir__() if name in _SHOWN or not (name[:2] == "__" or name in inherited)]
