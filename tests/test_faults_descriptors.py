"""A process without descriptors: downloads fail and may be tried again, nothing raises, and nothing is left."""

import builtins
import errno
import json
import os
import subprocess
import sys

import pytest

from staging import AttachmentStage
from staging.testing import Drip, FakeCDN, assert_empty

LIMITS = [9, 10, 11, 12, 13, 14, 16, 18, 20, 24, 32, 60]

CHILD = """
import asyncio, json, logging, pathlib, resource, sys
import anyio
from staging import AttachmentStage, Limits, UrlPolicy, WorkspaceError, _download
from staging._net import transport

root, port, *urls = sys.argv[3:]
policy = UrlPolicy.only("127.0.0.1", schemes=("http",), ports=(int(port),), private=True)
logging.disable()
_download.DISK_WAITS, transport.DESCRIPTOR_SECONDS = (0.01, 0.01), 0.05  # for others to give a descriptor back


async def use(limit):
    ceiling = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, ceiling))
    try:
        async with AttachmentStage(root, policy=policy, limits=Limits(retries=0)) as stage:
            outcomes = await stage.download(urls)
            (stage.directory / "body" / "made").mkdir(parents=True)
            (stage.directory / "body" / "made" / "this").symlink_to("nowhere")
        told = [[outcome.downloaded or (outcome.reason, outcome.retryable) for outcome in outcomes], stage.leftovers]
    except WorkspaceError as error:
        told = [[(error.reason, error.retryable)], []]
    resource.setrlimit(resource.RLIMIT_NOFILE, (ceiling, ceiling))
    print(json.dumps([limit, *told]), flush=True)


for limit in json.loads(sys.argv[2]):
    anyio.run(use, limit, backend=sys.argv[1])
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_N10_with_nine_to_sixty_descriptors(tmp_path, backend):
    """Files that arrive are staged; the rest failed for now. The directory that the body made goes as well."""
    with FakeCDN.in_thread() as cdn:
        urls = [cdn.file(f"{n}.txt", b"x" * 5000) for n in range(12)]
        urls.append(cdn.file("slow.txt", b"y" * 1000, Drip(500, every=0.01, head=True)))
        done = subprocess.run(
            [sys.executable, "-c", CHILD, backend, json.dumps(LIMITS), tmp_path, str(cdn.port), *urls],
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
    assert done.stderr == ""
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert {limit for limit, *_ in told} == set(LIMITS)
    for limit, outcomes, leftovers in told:
        assert all(outcome in (True, ["storage", True]) for outcome in outcomes), limit
        assert leftovers == [], limit
    assert told[-1][1] == [True] * 13
    assert_empty(tmp_path)


@pytest.mark.parametrize("module", ["email.utils", "httpx", "json"])
async def test_a_module_that_cannot_be_imported_now_costs_one_file(tmp_path, monkeypatch, module):
    """A server chooses the moment: it answers with what few servers say when the process has no descriptor left."""
    real = builtins.__import__

    def full(name, *args, **kwargs):
        if name == module:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(name, *args, **kwargs)

    async with FakeCDN() as cdn:
        good, date = cdn.serve("/good", b"good"), {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}
        url = {
            "email.utils": lambda: cdn.serve("/date", b"", status=503, headers=date),
            "httpx": lambda: cdn.redirect("/elsewhere", "/good"),
            "json": lambda: cdn.serve("/json", b'{"a": 1}'),
        }[module]()
        async with AttachmentStage(tmp_path, policy=cdn.policy) as stage:
            monkeypatch.setattr(builtins, "__import__", full)
            first, failed = await stage.download(good, url)
            monkeypatch.undo()
            assert first.downloaded
            assert (failed.reason, failed.retryable) == ("storage", True)
    assert_empty(tmp_path)
