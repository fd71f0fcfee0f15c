"""Keep what `staging get` downloaded, under harmless names.

People open a folder of downloads, and some names act there by themselves on Windows. A shortcut runs what it points to,
desktop.ini changes the look of the folder, and an extension that is a class identifier gives the file another type
(CVE-2010-2568, CVE-2017-8464; browsers rename these too). They get an underscore at the end. They get it on every
system, since the folder may be a share.
"""

import re
from dataclasses import replace
from pathlib import Path

import anyio

from staging import AttachmentStage, Failure, Outcome, StagedFile, WorkspaceError
from staging._cli.orders import Order
from staging._cli.output import report

_ACTING = re.compile(
    r"""(?:
        desktop\.ini | autorun\.inf | folder\.htt | thumbs\.db
        | .*\.(?:
            lnk | url | pif | scf | local | website | desktop | library-ms | search-ms | searchconnector-ms
            | settingcontent-ms | appref-ms | mapimail | mydocs | zfsendtotarget | theme | themepack
            | \{[0-9a-f-]+\}
        )
    )""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


def disarmed(name: str) -> str:
    """Return a file name that no shell of Windows acts on by itself.

    Other names come back unchanged.
    """
    return f"{name}_" if _ACTING.fullmatch(name) else name


async def keep_all(stage: AttachmentStage, order: Order) -> int:
    """Keep what arrived, and report each file at once.

    So every file that was kept before an interrupt has been reported.
    """
    into = order.into or Path()
    if stage.files:
        await anyio.Path(into).mkdir(parents=True, exist_ok=True)
    kept: dict[Path, Outcome] = {}
    for outcome in stage.outcomes:
        result: Outcome = outcome
        if isinstance(outcome, StagedFile):  # identical URLs have one file
            result = kept.get(outcome.path) or await _keep(stage, outcome, into)
            kept[outcome.path] = result
        report(result, as_json=order.json, show_path=True)
    return 1 if stage.failures or any(isinstance(result, Failure) for result in kept.values()) else 0


async def _keep(stage: AttachmentStage, file: StagedFile, into: Path) -> Outcome:
    name = disarmed(file.path.name)
    place = into if name == file.path.name else into / name
    try:
        if place != into and await anyio.Path(place).is_dir():
            raise FileExistsError  # noqa: TRY301  # keep would put it into that one
        return replace(file, path=await stage.keep(file, place))
    except FileExistsError:
        error = WorkspaceError("storage", f"{into} has a file of that name already; not overwritten")
    except WorkspaceError as why:
        error = why
    return Failure(
        attachment=file.attachment,
        name=file.path.name,
        reason=error.reason,
        detail=error.detail,
        retryable=False,
        attempts=0,
        error=error,
    )
