"""What the tests of the readers share: one reading in this process, with its text and its remarks."""

import io
from dataclasses import dataclass

from staging.llm._converter import output, tasks
from staging.llm._frames import Frames


@dataclass
class Reading:
    """What a reader gave."""

    text: str
    remarks: str
    refusal: str


def reading(task: str, content: bytes, **options) -> Reading:
    """Read `content` without a process, a sandbox and bounds: what is tested is the reader."""
    pipe, said = io.BytesIO(), []
    out, frames = output.Output(pipe), Frames(said.append, 10**9)
    try:
        tasks.load(task)(io.BytesIO(content), out, **options)
        out.check()
    except output.FullError as error:
        out.cut(error.args[0])
    except output.RefusedError as error:
        out.end(error.args[0])
    frames.feed(pipe.getvalue())
    return Reading("".join(said), "; ".join(frames.remarks), frames.refusal)
