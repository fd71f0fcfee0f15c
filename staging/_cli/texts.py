"""Hold the help texts of the command."""

ABOUT = """\
Put untrusted chat attachments on disk for exactly as long as a command needs
them.

commands:
  run URL... -- COMMAND   stage attachments, run a command on them, delete them
  get --into DIR URL...   download attachments and keep them
  sweep [DIR]             remove what killed processes left behind"""

MORE = """\
examples:
  staging run URL -- llm "what is this?" -a {}
  staging get --into inbox URL URL
  staging sweep

exit codes: 0 all well, 1 something failed, 2 wrong usage, 130 interrupted
(SIGINT, Ctrl-C), 143 told to end (SIGTERM). Whatever the end, no staged file
is left. `staging run --help` and so on tell the rest."""

ABOUT_RUN = """\
Stage the attachments, run COMMAND, delete them, and exit with COMMAND's code.

An argument {} becomes the absolute paths of all staged files, each an argument
of its own, and --option={} becomes one --option=PATH for each of them. COMMAND
uses the terminal as if it had been started without `staging`, and finds two
more variables in its environment:
  STAGING_CONTEXT   what was attached and what became of it, for a prompt
  STAGING_DIR       the directory of the staged files
STAGING_CONTEXT is left out, with a line that says so, where it is too long for
the system. If a download fails, COMMAND is not started, unless --partial. The
lines of --json come before COMMAND's own output. If `staging` is killed, the
files stay for as long as COMMAND lives.

A command line can be read by every user of the machine. So a secret header
comes from a file (--header @FILE), from standard input (--header @-) or from
the environment (lines in STAGING_HEADERS). It is never shown."""

MORE_RUN = """\
examples:
  staging run URL -- llm "what is this?" -a {}
  staging run URL URL -- llm "what differs?" --attachment={}
  staging run URL URL -- sh -c 'echo "$STAGING_CONTEXT" | llm "summarise"'
  staging run URL URL -- sh -c 'for file; do wc -l "$file"; done' sh {}
  staging run --any-public-host https://example.com/scan.pdf -- pdftotext {} -

exit codes: COMMAND's own, or 128 + N if signal N ended it; 1 a download
failed; 2 wrong usage; 126 COMMAND cannot be started; 127 it is not found; 130
interrupted (SIGINT); 143 told to end (SIGTERM); 129 hung up (SIGHUP).

These signals reach COMMAND too, and it is waited for (after SIGTERM and SIGHUP
for 5 seconds) before its files are deleted. If it goes on after Ctrl-C at the
terminal, as a shell does, and ends well, that counts: 0."""

ABOUT_GET = """\
Download the attachments into DIR, which is made if missing, and print the path
of each.

Nothing is overwritten: if DIR has a file of that name already, the new one is
dropped, with a line that says so and exit code 1. No half-written file ever
appears in DIR. The files are yours alone to read (mode 0600). Names that act
by themselves on Windows (shortcuts, desktop.ini and so on) get a _ at the end.

A command line can be read by every user of the machine. So a secret header
comes from a file (--header @FILE), from standard input (--header @-) or from
the environment (lines in STAGING_HEADERS). It is never shown."""

MORE_GET = """\
examples:
  staging get --into inbox URL URL
  staging get --into inbox --allow-host files.example.com URL
  staging get --into inbox --json URL | jq -r .media_type

exit codes: 0 all well; 1 something failed, and the rest is kept; 2 wrong
usage; 130 interrupted (SIGINT); 143 told to end (SIGTERM); 129 hung up
(SIGHUP): what was not kept yet is deleted."""

ABOUT_SWEEP = """\
Remove the workspaces under DIR whose processes are dead, and print how many.
Those of living processes, and everything that is not a workspace, stay as they
are."""

MORE_SWEEP = """\
examples:
  staging sweep
  staging sweep /var/tmp/bot

exit codes: 0 all well, 1 DIR is not there or cannot be swept, 2 wrong usage."""
