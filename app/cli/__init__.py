"""The command line, `mindsum`, for ops."""

import io
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

import click

from app import create_app
from app.errors import DomainError, StoreUnavailable
from app.version import VERSION

if TYPE_CHECKING:
    from flask import Flask

# Exit statuses.
MISTAKE = 2
FAULT = 1

# Module and help of each command: it is imported when it is used, so that help and mistakes appear
# at once.
_COMMANDS = {
    "access": ("access", "Read who looked at people's data, and who tried to."),
    "booking": ("bookings", "Find, read, answer and cancel bookings; end their links."),
    "check": ("admin", "Check settings, database, scheduler, outbox and mail server."),
    "client": ("clients", "Export and erase what is held on a client."),
    "db": ("admin", "Upgrade, back up and restore the database."),
    "demo": ("admin", "Run everything on this machine, with therapists and a mailbox."),
    "emails": ("emails", "Look at the emails."),
    "inbound": ("inbound", "Hand one message to the mail door."),
    "ledger": ("admin", "Read what is owed because of a booking."),
    "notes": ("notes", "Encrypt what people wrote under another key."),
    "outbox": ("outbox", "Look at emails, and retry, hold or skip them."),
    "replay": ("admin", "Recompute what is stored from what happened."),
    "therapist": ("therapists", "Open and look after therapists' accounts."),
}


class _LazyGroup(click.Group):
    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, help_text = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"app.cli.{module}"), cmd_name)
        command.help = command.help or help_text
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.command(cls=_LazyGroup, help="Run Mindsum Bookings from the command line.")
@click.version_option(VERSION, message="mindsum %(version)s")
def mindsum() -> None:
    pass


def main() -> None:
    status = run()
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        # What could not be written must not be tried again at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = status or FAULT
    sys.exit(status)


def run(arguments: Sequence[str] | None = None, create: "Callable[[], Flask]" = create_app) -> int:
    """Exit status: 0 if done, 1 if the service is at fault or a check failed, 2 for a mistake."""
    # The command prints what it did; log lines would repeat that.
    logging.disable(logging.WARNING)
    for stream in (sys.stdout, sys.stderr):
        # A terminal or pipe that knows ASCII only gets other characters escaped.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = mindsum.main(arguments, prog_name="mindsum", standalone_mode=False, obj=create)
    except Exception as error:
        return say(*words_and_status(error))
    finally:
        logging.disable(logging.NOTSET)
    return status if isinstance(status, int) else 0


def words_and_status(error: Exception) -> tuple[str, int]:
    """Raises errors that are faults of the code."""
    match error:
        case click.Abort():
            return "stopped", 130
        case click.ClickException():
            return _message(error), MISTAKE
        case StoreUnavailable():
            return f"the database cannot be used now: {error}", FAULT
        case DomainError():
            return str(error), FAULT if error.is_fault else MISTAKE
        case OSError():
            what = error.filename or "the output cannot be written"
            return f"{what}: {error.strerror or error}", FAULT
    # Imported only now: commands like `emails preview` never need it.
    import peewee  # noqa: PLC0415

    if not isinstance(error, peewee.PeeweeException):
        raise error
    return f"the database failed: {error}", FAULT


def say(words: str, status: int) -> int:
    """Print what went wrong in one line, and return the status."""
    # A database's error message may have several lines.
    printable = "".join(each if each.isprintable() else " " for each in words)
    # Where even that cannot be written, the exit status says it.
    with suppress(OSError):
        click.echo(f"mindsum: {' '.join(printable.split())}", err=True)
    return status


def _message(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "mindsum"
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        group = error.ctx.command
        assert isinstance(group, click.Group)
        return f"{path} needs one of: {', '.join(group.list_commands(error.ctx))}"
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return f"{_name(error.param)} is missing: see {path} --help"
    if isinstance(error, click.BadParameter) and error.param is not None:
        link = " " if error.message.startswith("should") else ": "
        return f"{_name(error.param)}{link}{error.message}"
    if isinstance(error, click.UsageError):
        # Click's own messages are sentences: "No such option: --jsn".
        message = error.format_message()
        return (message[:1].lower() + message[1:]).rstrip(".")
    return error.message


def _name(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Option):
        return parameter.opts[-1]
    return parameter.human_readable_name.strip("[].")
