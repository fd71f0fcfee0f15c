"""Untrusted chat attachments on disk for exactly as long as a piece of code needs them.

`AttachmentStage` is the scope of one use, `StagingArea` the scope of an application; everything else here is what they
take and return. `staging.llm` hands staged files to language models, `staging.testing` is a hostile CDN for your tests.
"""

import os
import warnings
from contextlib import suppress
from types import FunctionType

from staging._area import StagingArea
from staging._claims.filenames import safe_name
from staging._disk.sweep import sweep
from staging._errors import DownloadError, Reason, RejectedError, StageClosedError, StagingError, WorkspaceError
from staging._events import Event, Finished, Progress, Removed, Started
from staging._models import AreaStats, Attachment, Failure, Limits, Outcome, Skipped, StagedFile
from staging._net.policy import UrlPolicy
from staging._stage import AttachmentStage

__version__ = "0.1.0"

__all__ = [
    "AreaStats",
    "Attachment",
    "AttachmentStage",
    "DownloadError",
    "Event",
    "Failure",
    "Finished",
    "Limits",
    "Outcome",
    "Progress",
    "Reason",
    "RejectedError",
    "Removed",
    "Skipped",
    "StageClosedError",
    "StagedFile",
    "StagingArea",
    "StagingError",
    "Started",
    "UrlPolicy",
    "WorkspaceError",
    "__version__",
    "safe_name",
    "sweep",
]

for _name in __all__:  # tracebacks, docs and pickles show the public names
    _value = globals()[_name]
    if isinstance(_value, type | FunctionType):
        _value.__module__ = __name__

with suppress(OSError):  # a package in a zip has no folder
    _names = sorted(name for name in os.listdir(__path__[0]) if name[0] != "_")  # noqa: PTH208  # a tenth of pathlib's time
    if _others := [name for name in _names if name.endswith(".py")]:
        warnings.warn(
            f"another project named `staging` lies in the folder of this one ({', '.join(_others[:3])}): "
            "pip uninstall staging attachment-staging, then pip install attachment-staging",
            RuntimeWarning,
            stacklevel=2,
        )
