"""The command, as a process: what it prints, what it leaves, how it ends; with and without a terminal."""

import contextlib
import errno
import fcntl
import json
import os
import pty
import re
import select
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import termios
import textwrap
from pathlib import Path
from unittest import mock

import pytest

from staging.__main__ import main
from staging._cli import orders
from staging.testing import Drip, FakeCDN, Hold, Reply, Stall, assert_empty

MODULE = (sys.executable, "-m", "staging")
SECRET = "?ex=ffffffff&hm=5ec2e7"
ESC, OSC, BIDI = "\x1b[31m", "\x1b]0;owned\x07", "\u202e"
HOSTILE = f"a{ESC}{OSC}{BIDI}[red]z[bold].txt"


class Command:
    """`staging`, started with a root of its own; `--insecure-local` admits the test's server."""

    def __init__(self, folder):
        self.root = folder / "root"
        self.into = folder / "into"
        self.environment = {**os.environ, "TMPDIR": str(folder), "COLUMNS": "80", "TERM": "xterm-256color"}
        for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
            self.environment.pop(name, None)

    def __call__(self, verb, *arguments, program=MODULE, **options):
        """Run it to its end, and return what came of it: in this process, unless the test needs one of its own."""
        if program == MODULE and not options:
            return self.here(self.line(verb, *arguments, program=()))
        options = {"capture_output": True, "text": True, "timeout": 60, "env": self.environment, **options}
        return subprocess.run(self.line(verb, *arguments, program=program), check=False, **options)

    def here(self, line):
        """Run it in this process, with files for its output and its children's."""
        with (
            mock.patch.dict(os.environ, self.environment, clear=True),
            mock.patch.object(tempfile, "tempdir", self.environment["TMPDIR"]),
            into_file(1, "stdout") as output,
            into_file(2, "stderr") as errors,
        ):
            try:
                code = main(line)
            except SystemExit as end:
                code = end.code
            texts = [os.pread(stream, os.fstat(stream).st_size, 0).decode() for stream in (output, errors)]
        return subprocess.CompletedProcess(line, code, *texts)

    @contextlib.contextmanager
    def started(self, verb, *arguments, program=MODULE, **options):
        """Run it beside the test, without a terminal."""
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        options = {**pipes, "text": True, "start_new_session": True, "env": self.environment, **options}
        process = subprocess.Popen(self.line(verb, *arguments, program=program), **options)
        try:
            yield process
        finally:
            process.kill()
            if options["start_new_session"]:  # what it has started and not ended would hold the pipes open
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def line(self, verb, *arguments, program=MODULE):
        own = ["--temp-dir", self.root, "--insecure-local"] if verb in {"run", "get"} else []
        own += ["--into", self.into] if verb == "get" else []
        return [*program, verb, *map(str, own), *map(str, arguments)]


@contextlib.contextmanager
def into_file(number, name):
    """Let a standard stream, and its descriptor, lead into a file for a while; yield the file's descriptor."""
    before = os.dup(number)
    try:
        with tempfile.TemporaryFile() as file, open(number, "w", closefd=False) as stream:
            os.dup2(file.fileno(), number)
            with mock.patch.object(sys, name, stream):
                yield file.fileno()
    finally:
        os.dup2(before, number)
        os.close(before)


@pytest.fixture
def command(tmp_path):
    """Whatever the command did, no staged file is left under its root."""
    command = Command(tmp_path)
    yield command
    assert_empty(command.root)


@pytest.fixture
def cdn():
    with FakeCDN.in_thread() as cdn:
        yield cdn


def python(code):
    """Return a command that runs `code`."""
    return sys.executable, "-c", textwrap.dedent(code)


def patched(code):
    """Return a program that is the command after `code`."""
    return python(f"import sys\n{code}\nfrom staging._cli import main\nsys.exit(main())")


SHOW = python("""
    import json, os, sys
    texts = [open(path).read() for path in sys.argv[1:]]
    print(json.dumps([sys.argv[1:], texts, os.environ["STAGING_CONTEXT"], os.environ["STAGING_DIR"]]))
""")


# ── run ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_run_gives_the_command_its_files_each_an_argument_of_its_own_and_deletes_them(command, cdn):
    urls = cdn.serve("/a b.txt", b"one"), cdn.serve("/b.txt", b"two")
    done = command("run", *urls, "--", *SHOW, "{}")
    assert done.returncode == 0, done.stderr
    paths, texts, context, directory = json.loads(done.stdout)
    assert texts == ["one", "two"]
    assert [Path(path).name for path in paths] == ["a b.txt", "b.txt"]
    assert {Path(path).parent for path in paths} == {Path(directory)}
    assert context.startswith("[Attachments:]\n1. FILE 'a b.txt'\n   Downloaded: Yes")
    assert "a b.txt: 3 bytes, text/plain" in done.stderr
    assert not Path(directory).exists()


PRINT_ARGUMENTS = python("import sys; print(*sys.argv[1:], sep='\\n')")


def test_run_expands_only_a_word_that_is_braces_and_as_often_as_it_stands(command, cdn):
    code = ["x={}", "-{}", "{}{}", "{ }", "--x={}.gz", "print({})", "-x y={}", "={}"]
    done = command("run", cdn.serve("/a", b"one"), "--", *PRINT_ARGUMENTS, "{}", *code, "--", "{}")
    first, *rest = done.stdout.splitlines()
    assert first.endswith("/a")
    assert rest == [*code, "--", first]


def test_run_repeats_an_option_that_takes_a_path_for_each(command, cdn):
    urls = [cdn.serve(f"/{name}", b"x") for name in ("a b", "c")]
    done = command("run", *urls, "--", *PRINT_ARGUMENTS, "--attachment={}", "-a={}", "z")
    assert re.sub(r"=/.*/", "=/", done.stdout).splitlines() == [
        "--attachment=/a b", "--attachment=/c", "-a=/a b", "-a=/c", "z",
    ]  # fmt: skip
    done = command("run", "--partial", cdn.url("/gone"), "--", *PRINT_ARGUMENTS, "--attachment={}", "z")
    assert done.stdout == "z\n"


@pytest.mark.parametrize(("code", "expected"), [
    ("raise SystemExit(7)", 7), ("raise SystemExit(0)", 0), ("import os; os.kill(os.getpid(), 9)", 137),
])  # fmt: skip
def test_run_exits_with_the_commands_code(command, cdn, code, expected):
    assert command("run", cdn.serve("/a", b"x"), "--", *python(code)).returncode == expected


def test_run_starts_nothing_after_a_failure_and_says_why(command, cdn):
    done = command("run", cdn.serve("/a", b"x"), cdn.url("/gone"), "--", "echo", "started")
    assert (done.returncode, done.stdout) == (1, "")
    assert "staging: gone: " in done.stderr
    assert "404" in done.stderr
    assert done.stderr.endswith("staging: echo was not started; with --partial it gets what arrived\n")


def test_run_partial_starts_with_what_arrived_even_if_that_is_nothing(command, cdn):
    done = command("run", "--partial", cdn.serve("/a", b"x"), cdn.url("/gone"), "--", *SHOW, "{}")
    _, texts, context, _ = json.loads(done.stdout)
    assert texts == ["x"]
    assert "2. FILE 'gone'\n   Downloaded: Failed" in context
    done = command("run", "--partial", cdn.url("/gone"), "--", "echo", "with", "{}", "nothing")
    assert (done.returncode, done.stdout) == (0, "with nothing\n")


def test_run_leaves_standard_input_and_output_to_the_command(command, cdn):
    done = command("run", "--quiet", cdn.serve("/a", b"x"), "--", "cat", "-", "{}", input="typed ")
    assert (done.returncode, done.stdout, done.stderr) == (0, "typed x", "")


def test_run_of_a_command_that_does_not_start_is_one_line(command, cdn, tmp_path):
    url = cdn.serve("/a", b"x")
    done = command("run", "--quiet", url, "--", "no-such-command-here")
    assert (done.returncode, done.stderr) == (127, "staging: no-such-command-here: command not found\n")
    (tmp_path / "plain").write_text("no program")
    done = command("run", "--quiet", url, "--", tmp_path / "plain")
    assert (done.returncode, done.stderr) == (126, f"staging: {tmp_path}/plain cannot be started: Permission denied\n")
    assert not cdn.requests, "that is told before anything is downloaded"
    (tmp_path / "plain").chmod(0o700)
    done = command("run", "--quiet", url, "--", tmp_path / "plain")
    assert (done.returncode, done.stderr) == (126, f"staging: {tmp_path}/plain cannot be started: Exec format error\n")


def test_run_never_executes_what_was_sent(command, cdn):
    done = command("run", "--quiet", cdn.serve("/a", b"#!/bin/sh\necho owned"), "--", "{}")
    assert (done.returncode, done.stdout, done.stderr) == (127, "", "staging: {}: command not found\n")


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of one argument is Linux's")
def test_run_leaves_out_a_context_that_is_too_long_for_an_environment_and_says_so(command):
    urls = [f"https://example.com/{n}/{'a' * 140}" for n in range(700)]
    command.environment["STAGING_CONTEXT"] = "of another run"
    done = command("run", "--partial", *urls, "--", "sh", "-c", 'echo "${STAGING_CONTEXT-none}" "${STAGING_DIR:+dir}"')
    assert (done.returncode, done.stdout) == (0, "none dir\n")
    assert re.search(
        r"\nstaging: STAGING_CONTEXT is left out: \d{6} bytes are too long for this system\n$", done.stderr
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of all arguments is Linux's")
def test_run_says_so_if_the_paths_are_too_long_for_the_system(command, cdn):
    limited = "sh", "-c", 'ulimit -s 512; exec "$@"', "sh", *MODULE  # all arguments have a quarter of it
    done = command("run", "--quiet", cdn.serve(f"/{'a' * 140}", b"x"), "--", "true", *["{}"] * 900, program=limited)
    assert done.returncode == 126
    assert done.stderr == "staging: true cannot be started: Argument list too long; stage fewer files at once\n"


@pytest.mark.skipif(sys.platform == "win32", reason="a lease cannot be inherited there")
def test_after_a_kill_no_sweep_takes_the_files_that_the_command_uses(command, cdn):
    """The command holds the lease, and so do its children; when the last has ended, a sweep takes the files."""
    reading = python("""
        import subprocess, sys
        print("up", flush=True)
        subprocess.run(["sh", "-c", 'read line; cat "$1"; echo', "sh", sys.argv[1]])
    """)
    with command.started("run", cdn.serve("/a", b"kept"), "--", *reading, "{}") as process:
        assert process.stdout.readline() == "up\n"
        process.kill()
        process.wait()
        assert command("sweep", command.root).stdout == "0\n"
        process.stdin.write("go on\n")
        process.stdin.close()
        assert process.stdout.read() == "kept\n"  # to its end: then both have ended
        process.stdin = None
    assert command("sweep", command.root).stdout == "1\n"


# ── get ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_get_keeps_files_makes_the_directory_and_prints_their_paths(command, cdn):
    command.into = command.into / "deep" / "er"
    urls = cdn.serve("/1/a.txt", b"one"), cdn.serve("/2/A.TXT", b"two")
    done = command("get", *urls, urls[0])
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{command.into}/{name}" for name in ("a.txt", "A-2.TXT", "a.txt")]
    assert [path.read_bytes() for path in sorted(command.into.iterdir())] == [b"two", b"one"]
    assert stat.S_IMODE((command.into / "a.txt").stat().st_mode) == 0o600


def test_get_never_overwrites_and_keeps_the_rest(command, cdn):
    command.into.mkdir()
    (command.into / "a").write_text("mine")
    (command.into / "d").mkdir()
    done = command("get", "--quiet", *(cdn.serve(f"/{name}", b"new") for name in "abd"))
    assert (done.returncode, done.stdout) == (1, f"{command.into}/b\n")
    taken = f"{command.into} has a file of that name already; not overwritten"
    assert done.stderr.splitlines() == [f"staging: {name}: {taken} ({cdn.url(name)})" for name in "ad"]
    assert (command.into / "a").read_text() == "mine"
    assert list((command.into / "d").iterdir()) == []


def test_get_keeps_what_arrived_and_exits_with_1_after_a_failure(command, cdn):
    done = command("get", "--partial", cdn.url("/gone"), cdn.serve("/a", b"x"))
    assert (done.returncode, done.stdout) == (1, f"{command.into}/a\n")


def test_get_makes_no_directory_for_nothing(command, cdn):
    assert command("get", cdn.url("/gone")).returncode == 1
    assert not command.into.exists()


def test_get_refuses_a_directory_that_cannot_be_one_before_it_downloads(command, cdn, tmp_path):
    (tmp_path / "file").touch()
    command.into = tmp_path / "file" / "below"
    done = command("get", cdn.serve("/a", b"x"))
    assert done.returncode == 2
    assert f"argument --into: {tmp_path}/file is not a directory" in done.stderr
    assert not cdn.requests


ACTING = ["a.lnk", "a.URL", "desktop.ini", "a.{20D04FE0-3AEA-1069-A2D8-08002B30309D}", "a.txt.scf", "a.library-ms"]


def test_get_keeps_no_name_that_acts_by_itself_on_windows(command, cdn):
    done = command("get", *(cdn.file(name, b"x") for name in [*ACTING, "lnk", "a.lnk.txt", "desktop.ini.txt"]))
    assert done.returncode == 0, done.stderr
    kept = sorted(path.name for path in command.into.iterdir())
    assert kept == sorted([*(f"{name}_" for name in ACTING), "lnk", "a.lnk.txt", "desktop.ini.txt"])


def test_accept_leaves_out_what_claims_or_turns_out_to_be_something_else(command, cdn):
    """That is no failure."""
    png = b"\x89PNG\r\n\x1a\n" + bytes(20)
    urls = cdn.file("a.png", png), cdn.file("b.txt", b"text"), cdn.serve("/c", b"text"), cdn.file("d.pdf", b"%PDF-1.7")
    done = command("get", "--quiet", "--accept", "image/*", "--accept=application/pdf", *urls)
    assert (done.returncode, done.stdout) == (0, f"{command.into}/a.png\n{command.into}/d.pdf\n")
    told = "left out: it is not of a type that --accept names"
    assert done.stderr == f"staging: b.txt: {told} ({urls[1]})\nstaging: c: {told} ({urls[2]})\n"
    assert [request.path for request in cdn.requests if request.path == "/b.txt"] == []
    done = command("run", "--json", "--accept", "image/*", *urls[:2], "--", "echo", "{}")
    assert done.stdout.endswith("/a.png\n")
    assert json.loads(done.stdout.splitlines()[1])["reason"] == "type"


# ── headers and a proxy ──────────────────────────────────────────────────────────────────────────────────────────────

TOKEN = "Bearer 5ec2e7"


@pytest.mark.parametrize("how", ["line", "file", "stdin", "environment"])
def test_a_header_is_sent_and_never_shown(command, cdn, tmp_path, how):
    line = f"Authorization: {TOKEN}\nX-Two:2\n"
    (tmp_path / "headers").write_text(line)
    options, given = {
        "line": (["--header", f"Authorization: {TOKEN}", "--header=X-Two:2"], ""),
        "file": (["--header", f"@{tmp_path}/headers"], ""),
        "stdin": (["--header", "@-"], line),
        "environment": ([], ""),
    }[how]
    if how == "environment":
        command.environment["STAGING_HEADERS"] = line
    urls = cdn.serve("/a", b"x"), cdn.url("/gone")
    for verb, rest in (("get", []), ("run", ["--", "env"])):
        more = {"input": given} if given else {}
        done = command(verb, "--json", "--partial", *options, *urls, *rest, **more)
        assert {request.header("Authorization") for request in cdn.requests} == {TOKEN}
        assert {request.header("X-Two") for request in cdn.requests} == {"2"}
        assert "not_found" in done.stdout
        assert "5ec2e7" not in done.stdout + done.stderr
        assert "STAGING_HEADERS" not in done.stdout


def test_a_header_stays_with_its_origin(command, cdn):
    with FakeCDN.in_thread() as other:
        elsewhere = cdn.redirect("/moved", other.serve("/a", b"x"))
        assert command("get", "--header", f"Authorization: {TOKEN}", elsewhere).returncode == 0
        assert [request.header("Authorization") for request in (*cdn.requests, *other.requests)] == [TOKEN, None]


@pytest.mark.parametrize("user", ["", "bot:5ec2e7@"])
def test_a_proxy_is_used_and_its_password_is_never_shown(command, cdn, tmp_path, user):
    """Over plain HTTP a proxy gets the whole URL as the target (RFC 9112, 3.2.2)."""
    url = "http://files.example.com/a"
    cdn.script(url, Reply(b"through the proxy"))
    (tmp_path / "proxy").write_text(cdn.url("/").replace("//", f"//{user}") + "\n")
    options = "--allow-host", "files.example.com", "--proxy", f"@{tmp_path}/proxy"
    done = command("get", *options, url)
    assert (done.returncode, done.stdout) == (0, f"{command.into}/a\n"), done.stderr
    (request,) = cdn.requests
    assert request.target == url
    assert bool(request.header("Proxy-Authorization")) == bool(user)
    (tmp_path / "proxy").write_text(f"http://{user}127.0.0.1:9")
    done = command("get", *options, url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("staging: a: ")
    assert "5ec2e7" not in done.stderr


# ── sweep ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_sweep_removes_orphans_and_prints_how_many(command, cdn):
    with command.started("run", cdn.serve("/a", b"x"), "--", *python("print('up', flush=True); input()")) as process:
        assert process.stdout.readline() == "up\n"
        assert command("sweep", command.root).stdout == "0\n"
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.read()  # to its end: then the command has ended too, which held the lease
        process.stdin = None
        assert command("sweep", command.root).stdout == "1\n"
    assert_empty(command.root)
    assert command("sweep").stdout == "0\n"
    done = command("sweep", command.root / "missing")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"staging: cannot sweep {command.root}/missing: there is no such directory\n"
    done = command("sweep", __file__)
    assert done.returncode == 1
    assert re.fullmatch(r"staging: cannot sweep .*: not a directory\n", done.stderr)


# ── hosts and limits ─────────────────────────────────────────────────────────────────────────────────────────────────


def bare(command, *arguments):
    """Run `get` without `--insecure-local`."""
    return command.here([word for word in command.line("get", *arguments, program=()) if word != "--insecure-local"])


def test_only_discords_hosts_are_allowed_unless_others_are_named(command, cdn):
    done = bare(command, "https://example.com/a", "https://cdn.discordapp.com.evil.example/a", "/etc/passwd")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("is not admitted; --allow-host names others (https://") == 2
    done = bare(command, "--allow-host", "a.example", "--allow-host=*.b.example", "https://cdn.discordapp.com/a")
    assert "host 'cdn.discordapp.com' is not admitted; --allow-host names others" in done.stderr
    done = bare(command, "--any-public-host", "https://127.0.0.1/a", cdn.serve("/a", b"x"))
    assert "address 127.0.0.1 is not admitted" in done.stderr
    assert "scheme 'http' is not admitted; --insecure-local takes it, for tests (http://" in done.stderr
    assert not cdn.requests


def test_insecure_local_admits_the_test_server_and_hosts_that_are_named(command, cdn):
    assert command("get", cdn.serve("/a", b"x")).returncode == 0
    assert "'127.0.0.2' is not admitted" in command("get", cdn.url("/a", host="127.0.0.2")).stderr
    done = command("get", "--allow-host", "10.0.0.1", cdn.url("/a"))
    assert "host '127.0.0.1' is not admitted; --" in done.stderr
    assert command("get", "--any-public-host", cdn.serve("/b", b"x")).returncode == 0


def test_limits_are_kept_and_the_sum_of_what_was_asked_for_is_none(command, cdn):
    done = command("get", "--max-mb", "0.001", cdn.serve("/big", bytes(1049)), cdn.serve("/fits", bytes(1048)))
    assert "the limit is 1 KB" in done.stderr
    assert done.stdout == f"{command.into}/fits\n"
    done = command("get", cdn.serve("/slow", bytes(9), Stall(at=3)), "--timeout", "1.5", cdn.serve("/a", b"x"))
    assert re.search(r"staging: slow: .*1\.5 s", done.stderr)
    assert done.stdout == f"{command.into}/a\n"
    order = orders.get_order(["--into", "x", "--max-mb", "400", "u", "u", "u"])
    assert order.limits.max_total_mb == order.limits.batch_timeout == float("inf")


# ── what is printed ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_json_is_a_line_for_each_outcome_in_order(command, cdn):
    urls = [cdn.serve("/a.png", b"\x89PNG\r\n\x1a\n" + bytes(20)), cdn.url("/gone")]
    done = command("get", "--json", *(url + SECRET for url in urls))
    file, failure = map(json.loads, done.stdout.splitlines())
    assert file == {
        "name": "a.png", "url": urls[0], "filename": "a.png", "type": "image", "downloaded": True,
        "local_path": f"{command.into}/a.png", "size": 28, "media_type": "image/png",
    }  # fmt: skip
    assert failure.pop("error").startswith("not found")
    assert failure == {
        "name": "gone", "url": urls[1], "filename": "gone", "type": "file", "downloaded": False, "local_path": None,
        "reason": "not_found",
    }  # fmt: skip
    assert done.returncode == 1


def test_json_tells_of_a_name_that_was_taken(command, cdn):
    command.into.mkdir()
    (command.into / "a").touch()
    [line] = command("get", "--json", cdn.serve("/a", b"x")).stdout.splitlines()
    taken = json.loads(line)
    assert (taken["reason"], taken["downloaded"], taken["local_path"]) == ("storage", False, None)
    assert "not overwritten" in taken["error"]


def test_json_of_run_comes_before_the_commands_output(command, cdn):
    done = command(
        "run", "--json", cdn.serve("/a", b"x"), "--", *python("import sys; print(open(sys.argv[1]).name)"), "{}"
    )
    line, path = done.stdout.splitlines()
    assert json.loads(line)["local_path"] == path


def test_the_query_of_a_url_is_never_printed(command, cdn):
    urls = [url + SECRET for url in (cdn.serve("/a", b"x"), cdn.url("/gone"), "https://u:5ec2e7@example.com/a")]
    for options in ([], ["--json"]):
        done = command("run", "--partial", *options, *urls, "--", "env")
        assert "STAGING_CONTEXT=[Attachments:]" in done.stdout
        assert "5ec2e7" not in done.stdout + done.stderr


def test_quiet_prints_results_and_errors_only(command, cdn):
    done = command("get", "--quiet", cdn.serve("/a", b"x"), cdn.url("/gone"))
    assert done.stdout == f"{command.into}/a\n"
    assert re.fullmatch(r"staging: gone: .*404.*\n", done.stderr)


def test_hostile_names_reach_no_terminal(command, cdn):
    heads = {"Content-Disposition": f'attachment; filename="{HOSTILE}"'.encode()}
    urls = [cdn.file(HOSTILE, b"x"), cdn.serve("/dispo", b"x", headers=heads), cdn.url(f"/gone/{HOSTILE}")]
    for options in ([], ["--json"]):
        done = command("get", *options, *urls, f"https://{HOSTILE}/", HOSTILE)
        assert done.returncode == 1
        shown = done.stdout + done.stderr
        assert not re.search("[^\n -~…]", shown), shown
        assert "[red]" in shown
        for path in command.into.iterdir():
            path.unlink()


@pytest.mark.skipif(sys.platform == "win32", reason="there names are not in the locale's encoding")
def test_a_locale_that_cannot_write_a_name_is_no_traceback(command, cdn):
    command.environment |= {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    url = cdn.file("日本語.pdf", b"x")
    done = command("get", url, cdn.url("/読.pdf"), timeout=60)  # in a process: a locale is one's own
    assert (done.returncode, done.stdout) == (1, f"{command.into}/___.pdf\n")
    assert done.stderr.startswith("\\u65e5\\u672c\\u8a9e.pdf: 1 byte")
    assert "staging: \\u8aad.pdf: not found" in done.stderr
    done = command("run", "--quiet", url, "--", "sh", "-c", 'echo "$STAGING_CONTEXT"; cat "$1"', "sh", "{}", timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("[Attachments:]\n1. FILE '日本語.pdf'\n")
    assert done.stdout.endswith("\nx")


def test_a_reader_that_goes_away_stops_no_work_and_is_no_traceback(command, cdn):
    gate = Hold()
    with command.started("get", cdn.serve("/a", b"x", gate), cdn.serve("/b", b"x")) as process:
        process.stdout.close()
        process.stdout = None
        cdn.call(gate.release)
        assert process.wait(60) == 0
        assert re.fullmatch("(?:[ab]: 1 byte.*\n){2}", process.stderr.read())
    assert sorted(path.name for path in command.into.iterdir()) == ["a", "b"]
    with command.started("--help") as process:
        process.stdout.close()
        process.stdout = None
        assert process.wait(60) == 0
        assert process.stderr.read() == ""


def test_standard_streams_may_be_closed(command, cdn):
    """A file that took the number of a closed stream is not written to."""
    program = "sh", "-c", '"$@" >&- 2>&- <&-', "sh", *MODULE
    assert command("get", cdn.serve("/a", b"x"), program=program, capture_output=False).returncode == 0
    assert (command.into / "a").read_bytes() == b"x"
    assert list(command.into.iterdir()) == [command.into / "a"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_results_that_cannot_be_written_are_an_error(command, cdn):
    with Path("/dev/full").open("w") as full:
        done = command("get", "--quiet", cdn.serve("/a", b"x"), capture_output=False, stdout=full, stderr=-1)
    assert (done.returncode, done.stderr) == (1, "staging: standard output: No space left on device\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize(("arguments", "code"), [(["nonsense"], 2), (["get", "--into", "x", "u"], 1)])
def test_errors_that_cannot_be_written_change_no_exit_code(command, arguments, code):
    with Path("/dev/full").open("w") as full:
        assert command(*arguments, capture_output=False, stderr=full).returncode == code


def test_what_could_not_be_removed_is_told(command, cdn):
    program = patched("""if True:
        from staging._disk.removal import Removal
        from staging._disk.workspace import Workspace
        remove = Workspace.remove
        Workspace.remove = lambda self: Removal(remove(self).files, (("a\\x1b", "busy"),))
    """)
    done = command("run", "--quiet", cdn.serve("/a", b"x"), "--", "true", program=program)
    assert done.returncode == 0
    assert done.stderr == "staging: a\\x1b could not be removed: busy; `staging sweep` will try again\n"


# ── wrong usage, and help ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("arguments", "expected"), [
    ([], "say what to do: run, get or sweep"),
    (["rnu"], "say what to do: run, get or sweep, not 'rnu'"),
    (["https://example.com/a?hm=5ec2e7"], "not 'https://example.com/a' "),
    (["run"], "URL"),
    (["run", "u"], "staging run URL -- COMMAND {}"),
    (["run", "u", "--"], "no command"),
    (["run", "u", "--", ""], "no command"),
    (["run", "--", "true"], "URL"),
    (["run", "", "--", "true"], "argument URL: must not be empty"),
    (["get", "u"], "--into"),
    (["get", "--into", "", "u"], "argument --into: must not be empty"),
    (["get", "--into", "d", "--temp-dir", "", "u"], "argument --temp-dir: must not be empty"),
    (["get", "--into", "d", "--max", "3", "u"], "--max"),
    (["get", "--into", "d", "--max-mb", "nan", "u"], "argument --max-mb: it must be more than zero, not nan"),
    (["get", "--into", "d", "--max-mb", "-1", "u"], "argument --max-mb: it must be more than zero, not -1"),
    (["get", "--into", "d", "--max-mb", "much", "u"], "argument --max-mb: it must be a number, not 'much'"),
    (["get", "--into", "d", "--timeout", "0", "u"], "argument --timeout: it must be more than zero, not 0"),
    (["get", "--into", "d", "--allow-host", "https://a.example/", "u"], "argument --allow-host: hosts must be"),
    (["get", "--into", "d", "--allow-host", "a.example", "--any-public-host", "u"], "not allowed with argument"),
    (["get", "--into", "d", f"--{HOSTILE}", "u"], "unrecognized arguments: --a\\x1b[31m\\x1b]0;owned\\x07\\u202e[red]"),
    (["get", "--into", "d", "--accept", "png", "u"], "argument --accept: "),
    (["get", "--into", "d", "--header", "5ec2e7", "u"], "argument --header: it must be 'NAME: VALUE'"),
    (["get", "--into", "d", "--header", "a b: 5ec2e7", "u"], "argument --header: it must be"),
    (["get", "--into", "d", "--header", "a: 5ec2e7\x00", "u"], "argument --header: it must be"),
    (["get", "--into", "d", "--header", "@/missing", "u"], "argument --header: /missing: No such file or directory"),
    (["get", "--into", "d", "--headers=A: 5ec2e7", "u"], "there is no option --headers (see"),
    (["get", "--into", "d", "--headers=5ec2e7", "u"], "unrecognized arguments: --headers (see"),
    (["get", "--into", "d", "--header", "Authorization:", "Bearer", "5ec2e7"], "argument --header: it must be"),
    (["get", "--into", "d", "--proxy", "ftp://a:5ec2e7@b/", "u"], "argument --proxy: it must be a URL with a host"),
    (["get", "--into", "d", "--proxy", "http://a:5ec2e7@b:port/", "u"], "argument --proxy: it must be a URL"),
    (["get", "--into", "d", "--proxy", "@/missing", "u"], "argument --proxy: /missing: No such file or directory"),
    (["sweep", ""], "argument DIR: must not be empty"),
    (["sweep", "a", "b"], "unrecognized arguments: b"),
])  # fmt: skip
def test_wrong_usage_is_one_line_and_exit_code_2(capfd, arguments, expected):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert re.fullmatch(r"staging: [ -~]*\(see staging(?: \w+)? --help\)\n", printed.err), printed.err
    assert expected in printed.err
    assert "5ec2e7" not in printed.err


def test_wrong_usage_ends_the_process_with_2(command):
    done = command("get", "--max-mb", "nan", "u")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_a_root_that_cannot_be_used_is_one_line(command, tmp_path):
    (tmp_path / "file").touch()
    done = command("run", "--temp-dir", tmp_path / "file", "u", "--", "true")
    assert done.returncode == 1
    assert re.fullmatch(r"staging: --temp-dir: .*/file is not a directory\n", done.stderr)


@pytest.mark.skipif(sys.platform == "win32", reason="there the current directory cannot be removed")
def test_a_current_directory_that_is_gone_is_one_line_or_does_not_matter(command, cdn, tmp_path):
    program = "sh", "-c", f'mkdir {tmp_path}/gone; cd {tmp_path}/gone; rmdir {tmp_path}/gone; "$@"', "sh", *MODULE
    url = cdn.serve("/a", b"x")
    assert command("run", "--quiet", url, "--", "cat", "{}", program=program).stdout == "x"
    command.into = "relative"
    done = command("get", url, program=program)
    assert (done.returncode, done.stdout) == (2, "")
    assert "argument --into: the current directory is gone; give a full path" in done.stderr


@pytest.mark.parametrize("verb", [None, "run", "get", "sweep"])
def test_help_fits_a_terminal_and_names_the_exit_codes(verb, capfd, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        main([*filter(None, [verb]), "--help"])
    printed = capfd.readouterr()
    assert (ended.value.code, printed.err) == (0, "")
    lines = printed.out.splitlines()
    assert max(map(len, lines)) < 80
    assert "\nexamples:\n  staging " in printed.out
    ends = printed.out.partition("exit codes: ")[2]
    assert all(code in ends for code in ("0", "1", "2") + (("130", "143") if verb != "sweep" else ()))
    for option in re.search(r"\noptions:\n(.*?)\n\n", printed.out, re.DOTALL)[1].splitlines():
        assert re.match(r"  -\S.*  \w", option), "each option has one line"


def test_version(capfd):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert re.fullmatch(r"staging \d+\.\d+\.\d+\S*\n", capfd.readouterr().out)


def test_options_may_stand_between_urls():
    order = orders.run_order(["a", "--max-mb", "2", "b", "--", "x", "--max-mb", "--", "{}"])
    assert (order.urls, order.command, order.limits.max_mb) == (["a", "b"], ["x", "--max-mb", "--", "{}"], 2)
    assert orders.get_order(["a", "--into", "d", "b"]).urls == ["a", "b"]


# ── signals ──────────────────────────────────────────────────────────────────────────────────────────────────────────

ENDINGS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


@pytest.mark.parametrize(("number", "code"), ENDINGS)
@pytest.mark.parametrize("verb", ["run", "get"])
def test_a_signal_during_a_download_leaves_nothing(command, cdn, verb, number, code):
    arguments = [cdn.serve("/a", b"x"), cdn.serve("/slow", bytes(100_000), Stall(at=50_000))]
    with command.started(verb, *arguments, *(["--", "echo", "started"] if verb == "run" else [])) as process:
        assert process.stderr.readline() == "a: 1 byte, text/plain\n"
        cdn.call(cdn.requested, "/slow")
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (code, "", "")
    assert not command.into.exists()


WAITING = """\
import signal, sys
numbers = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)  # a handler would wait for the end of a sleep
print("up", flush=True)
number = signal.sigwait(numbers)
print("got", int(number), open(sys.argv[1]).read(), flush=True)
"""


@pytest.mark.parametrize(("number", "code"), ENDINGS)
def test_a_signal_reaches_the_command_which_is_waited_for(command, cdn, number, code):
    """Its files are there until it ends."""
    with command.started("run", cdn.serve("/a", b"kept"), "--", *python(WAITING), "{}") as process:
        assert process.stdout.readline() == "up\n"
        process.send_signal(number)
        output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (code, f"got {number} kept\n")


def test_a_signal_while_the_command_is_started_reaches_it_too(command, cdn, tmp_path):
    """It may be at work before we know that it was started; to end our part would take its files away."""
    os.mkfifo(up := tmp_path / "up")
    waiting = python(WAITING.replace('print("up", flush=True)', 'open(sys.argv[2], "w").close()'))
    program = patched(f"""
import os, signal, anyio, staging._cli.perform as perform
known = perform.start
async def start(*given):
    process = await known(*given)
    open({str(up)!r}).close()
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(20):
        await anyio.sleep(0)
    return process
perform.start = start
""")
    with command.started("run", cdn.serve("/a", b"kept"), "--", *waiting, "{}", up, program=program) as process:
        output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (143, "got 15 kept\n")


@pytest.mark.parametrize(("number", "code"), ENDINGS)
def test_a_signal_that_kills_the_command_leaves_nothing(command, cdn, number, code):
    waiting = python("import signal; signal.signal(2, signal.SIG_DFL); print('up', flush=True); signal.pause()")
    with command.started("run", cdn.serve("/a", b"x"), "--", *waiting) as process:
        assert process.stdout.readline() == "up\n"
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode == code


def test_a_command_that_ignores_sigterm_is_killed_so_that_nothing_is_left(command, cdn):
    deaf = python("import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True); signal.pause()")
    program = patched("import staging._cli.perform; staging._cli.perform.GRACE = 0.2")
    with command.started("run", cdn.serve("/a", b"x"), "--", *deaf, program=program) as process:
        assert process.stdout.readline() == "up\n"
        process.terminate()
        output, errors = process.communicate(timeout=30)
    assert (process.returncode, output, errors) == (143, "", "a: 1 byte, text/plain\n")


def test_under_nohup_a_hangup_ends_nothing(command, cdn):
    program = patched("import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)")
    waiting = python("print('up', flush=True); print(input())")
    with command.started("run", cdn.serve("/a", b"x"), "--", *waiting, program=program) as process:
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGHUP)
        output, _ = process.communicate("still here\n", timeout=60)
    assert (process.returncode, output) == (0, "still here\n")


# ── on a terminal ────────────────────────────────────────────────────────────────────────────────────────────────────

CONTROLLED = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"


class Terminal:
    """A process on a terminal of its own, 80 by 24, and everything that it wrote there."""

    def __init__(self, line, environment):
        self.text = ""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-c", CONTROLLED, *line],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env=environment,
        )  # fmt: skip
        os.close(slave)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.hang_up()

    def hang_up(self):
        """Close the window, which tells the process by a SIGHUP."""
        if self._master is not None:
            os.close(self._master)
        self._master = None

    def type(self, keys):
        os.write(self._master, keys.encode())

    def until(self, pattern):
        """Read until `pattern` stands in the text; fail after a minute, or at the end."""
        while not re.search(pattern, re.sub("\x1b\\[[0-9;]*m", "", self.text)):  # colours cut words in two
            assert self._read(), f"no {pattern!r} in {self.text!r}"

    def end(self):
        """Read to the end, and return the exit code."""
        while self._read():
            pass
        return self.process.wait(60)

    def _read(self):
        assert select.select([self._master], [], [], 60)[0], f"nothing more after {self.text!r}"
        try:
            data = os.read(self._master, 65_536)
        except OSError as error:  # how Linux tells that the other side is closed
            assert error.errno == errno.EIO
            return False
        self.text += data.decode()
        return bool(data)


@pytest.fixture
def terminal(command):
    """Start the command on a terminal."""
    with contextlib.ExitStack() as stack:

        def start(verb, *arguments, program=MODULE, **variables):
            line = command.line(verb, *arguments, program=program)
            return stack.enter_context(Terminal(line, {**command.environment, **variables}))

        yield start


def test_bars_show_name_bytes_rate_and_time_left_and_are_gone_at_the_end(terminal, command, cdn):
    screen = terminal("get", cdn.serve("/photo.bin", bytes(200_000), Drip(10_000, every=0.05)))
    screen.until(r"photo\.bin +━.* of 195\.3 KB .* KB/s +00:0\d")
    assert screen.end() == 0
    assert screen.text.endswith(f"\x1b[2K\x1b[?25h\r{command.into}/photo.bin\r\n")
    assert re.search("\x1b\\[[0-9;]*3[0-9]", screen.text), "bars have colours"


@pytest.mark.parametrize(("columns", "row"), [
    (80, r"a-lon\S*… ━+\S+ +97\.7 of 195\.3 KB"), (60, r"a-lon\S*… +97\.7 of 195\.3 KB"), (20, r"a-lon\S*… +50%"),
])  # fmt: skip
def test_bars_leave_out_what_the_terminal_has_no_room_for(terminal, cdn, columns, row):
    """And never fill a line, or the ^C that is echoed behind it would leave one on the screen."""
    url = cdn.serve("/a-long-name-that-goes-on-and-on.bin", bytes(200_000), Stall(at=100_000))
    screen = terminal("get", url, COLUMNS=str(columns))
    screen.until(row)
    screen.type("\x03")
    assert screen.end() == 130
    drawn = re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", screen.text).replace("^C", "").replace("\r", "\n")
    assert max(map(len, drawn.splitlines())) == columns - 3


def test_several_downloads_have_a_line_for_all_of_them(terminal, cdn):
    urls = cdn.serve("/a", b"x"), cdn.serve("/b", bytes(100_000), Drip(10_000, every=0.05))
    screen = terminal("get", *urls)
    screen.until(r"1 of 2 done +━+ +\S+ KB")
    assert screen.end() == 0


def test_a_background_job_draws_no_bars(terminal, command, cdn):
    """Whoever works at the terminal meanwhile is not to be disturbed."""
    program = "/bin/sh", "-c", 'set -m; "$@" & wait $!', "sh", *MODULE
    screen = terminal("get", cdn.serve("/a", b"x"), program=program)
    assert screen.end() == 0
    assert "a: 1 byte, text/plain\r\n" in screen.text
    assert "\x1b" not in screen.text


def test_no_color_is_honoured(terminal, cdn):
    screen = terminal("get", cdn.serve("/photo.bin", bytes(100_000), Drip(10_000, every=0.05)), NO_COLOR="1")
    assert screen.end() == 0
    assert "━" in screen.text
    assert not re.search("\x1b\\[[0-9;]*[34][0-9]", screen.text)


def test_names_are_cleaned_on_bars_too_and_are_no_markup(terminal, cdn):
    screen = terminal("get", cdn.file(HOSTILE, bytes(100_000), Drip(10_000, every=0.05)))
    screen.until(r"a[^\n]*\[red\]z\S* +━")
    assert screen.end() == 0
    for hostile in (ESC + OSC, OSC, BIDI):
        assert hostile not in screen.text


@pytest.mark.parametrize("how", ["no rich", "dumb", "quiet"])
def test_a_terminal_without_bars_gets_lines_or_nothing(terminal, command, cdn, how):
    program = patched("sys.modules['rich'] = None") if how == "no rich" else MODULE
    options = ["--quiet"] if how == "quiet" else []
    screen = terminal(
        "get", *options, cdn.serve("/a", b"x"), program=program, TERM="dumb" if how == "dumb" else "xterm"
    )
    assert screen.end() == 0
    line = "" if how == "quiet" else "a: 1 byte, text/plain\r\n"
    assert screen.text == f"{line}{command.into}/a\r\n"


def test_rich_is_not_imported_without_a_terminal(command, cdn):
    program = python("import sys; from staging._cli import main; main(); sys.exit('rich' in sys.modules)")
    assert command("get", cdn.serve("/a", b"x"), program=program).returncode == 0


def test_a_failure_is_a_line_below_the_bars(terminal, cdn):
    screen = terminal("get", cdn.url("/gone"))
    assert screen.end() == 1
    assert re.search(r"staging: gone: not found .*\r\n$", screen.text)


def test_ctrl_c_during_a_download_restores_the_terminal(terminal, cdn):
    screen = terminal("get", cdn.serve("/slow", bytes(100_000), Stall(at=50_000)))
    screen.until("slow.*48.8 of 97.7 KB")
    screen.type("\x03")
    assert screen.end() == 130
    assert screen.text.rfind("\x1b[?25h") > screen.text.rfind("\x1b[?25l"), "the cursor is visible again"
    assert "Traceback" not in screen.text


def test_a_window_that_is_closed_leaves_nothing(terminal, command, cdn):
    screen = terminal("get", cdn.serve("/slow", bytes(100_000), Stall(at=50_000)))
    screen.until("slow.*48.8 of 97.7 KB")
    screen.hang_up()
    assert screen.process.wait(60) == 129
    assert not command.into.exists()


def test_ctrl_c_reaches_the_command_once_and_one_that_goes_on_ends_as_it_likes(terminal, cdn):
    """As a shell or an interpreter does, whose line it clears."""
    shell = python("""
        import select, sys
        interrupts, line = 0, ""
        while not line:
            try:
                print("up", interrupts, flush=True)
                while not select.select([sys.stdin], [], [], 0.05)[0]:
                    pass  # not input() at once: a signal just before its read() would wait for the next line
                line = input()
            except KeyboardInterrupt:
                interrupts += 1
        print(line, interrupts, sys.stdin.isatty(), sys.stdout.isatty(), flush=True)
        sys.exit(int(line))
    """)
    for line, code in (("0", 0), ("3", 130)):
        screen = terminal("run", cdn.serve("/a", b"x"), "--", *shell)
        screen.until("up 0")
        screen.type("\x03")
        screen.until("up 1")
        screen.type(f"{line}\n")
        assert screen.end() == code
        assert f"{line} 1 True True" in screen.text


def test_ctrl_c_that_kills_the_command_is_an_interrupt(terminal, cdn):
    screen = terminal("run", cdn.serve("/a", b"x"), "--", "sh", "-c", "echo up; exec sleep 60")
    screen.until("up")
    screen.type("\x03")
    assert screen.end() == 130
