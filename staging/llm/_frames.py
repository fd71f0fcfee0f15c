"""Take apart what a converter says, and trust none of it.

A frame holds text, a remark, data, a refusal or a status.
"""

from collections.abc import Callable

from staging._text import one_line
from staging.llm._converter.output import CUT, DATA, HEADER_BYTES, MAX_REMARK, REASONS, REFUSAL, REMARK, TEXT
from staging.llm._files import UnreadableError

BROKE = "reading it broke the converter"
MAX_REMARKS = 20


class Frames:
    """Takes a converter's output in pieces.

    Attributes:
        remarks: what the reader says about its text, each on one line.
        data: whole things of bytes, in their order.
        refusal: why the file is not converted. Empty if it is.
    """

    def __init__(self, take: Callable[[str], None], limit: int) -> None:
        self._take = take
        self._left = limit
        self._open = bytearray()
        self._has_text = False
        self.remarks: list[str] = []
        self.data: list[bytes] = []
        self.refusal = ""

    def feed(self, piece: bytes) -> None:
        """Take a piece of output.

        Raises:
            UnreadableError: if it is more than the limit, or no frame of ours.
        """
        self._left -= len(piece)
        if self._left < 0:
            raise UnreadableError("it expands to far more than its size")
        self._open += piece
        start = 0
        while len(self._open) >= start + HEADER_BYTES:
            content = start + HEADER_BYTES
            end = content + int.from_bytes(self._open[start + 1 : content], "big")
            if end - len(self._open) > self._left:
                raise UnreadableError("it expands to far more than its size")
            if len(self._open) < end:
                break
            with memoryview(self._open) as seen:
                self._frame(bytes(seen[start : start + 1]), bytes(seen[content:end]))
            start = end
        del self._open[:start]

    def cut(self, after: str) -> bool:
        """Say that the rest was not read, and return False if there is nothing before it."""
        if self._has_text:
            self._take(CUT.format(after))
            self.remarks.append("not read to its end")
        return self._has_text

    def end(self) -> None:
        """Check that nothing is half said.

        Raises:
            UnreadableError: if a frame was cut off.
        """
        if self._open:
            raise UnreadableError(BROKE)

    def _frame(self, kind: bytes, content: bytes) -> None:
        if kind == TEXT:
            self._take(content.decode("utf-8", "replace"))
            self._has_text = True
        elif kind == DATA:
            self.data.append(content)
        elif kind == REMARK and len(self.remarks) < MAX_REMARKS:
            self.remarks.append(one_line(content.decode("utf-8", "replace"))[:MAX_REMARK])
        elif kind == REFUSAL:
            self.refusal = REASONS.get(content.decode("ascii", "replace"), BROKE)
        else:
            raise UnreadableError(BROKE)
