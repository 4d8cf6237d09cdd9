"""The command line: `mindsum`, for whoever runs the service."""

import logging
import re
import sys
from collections.abc import Callable, Sequence

import click
import peewee
from flask import Flask
from flask.cli import ScriptInfo

from app import create_app
from app.cli import admin, bookings, clients, emails, outbox, therapists
from app.cli.common import Mistake
from app.errors import DomainError, NotesKeyWrong, StoreUnavailable
from app.services.ops.backup import BackupFailed

MISTAKE = 2
FAULT = 1
_FAULTS = (NotesKeyWrong, BackupFailed)


@click.group(help="Run Mindsum Bookings from the command line.")
def mindsum() -> None:
    """Hold the commands."""


for command in (admin.demo, admin.db, admin.check, admin.replay, admin.ledger):
    mindsum.add_command(command)
for group in (
    therapists.therapist,
    bookings.booking,
    outbox.outbox,
    clients.client,
    emails.emails,
):
    mindsum.add_command(group)


def main() -> None:
    """Run the command that was typed, and exit."""
    sys.exit(run())


def run(arguments: Sequence[str] | None = None, create: Callable[[], Flask] = create_app) -> int:
    """Run one command; its exit status.

    0 when it was done, 1 when the service is at fault or a check failed, 2 for a mistake. Mistakes
    and faults are one line on standard error.
    """
    # Whoever gave the command reads what came of it; log lines would only say it twice.
    logging.disable(logging.WARNING)
    script = ScriptInfo(create_app=create, set_debug_flag=False)
    try:
        status = mindsum.main(arguments, prog_name="mindsum", standalone_mode=False, obj=script)
    except click.Abort:
        return _say("stopped", 130)
    except click.ClickException as error:
        return _say(_in_words(error), MISTAKE)
    except StoreUnavailable as error:
        return _say(f"the database cannot be used now: {error}", FAULT)
    except DomainError as error:
        return _say(str(error), FAULT if isinstance(error, _FAULTS) else MISTAKE)
    except peewee.PeeweeException as error:
        return _say(f"the database failed: {error}", FAULT)
    finally:
        logging.disable(logging.NOTSET)
    return status if isinstance(status, int) else 0


def _say(words: str, status: int) -> int:
    printable = "".join(each if each.isprintable() else " " for each in words)
    click.echo(f"mindsum: {' '.join(printable.split())}", err=True)
    return status


def _in_words(error: click.ClickException) -> str:
    """What click found wrong, in one line that names what would be right."""
    if isinstance(error, Mistake):
        return error.message
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return _wants_a_command(error.ctx)
    if isinstance(error, click.MissingParameter) and error.param is not None:
        where = error.ctx.command_path if error.ctx else "mindsum"
        return f"{_name(error.param)} is missing: see {where} --help"
    if isinstance(error, click.BadParameter) and error.param is not None:
        link = " " if error.message.startswith("should") else ": "
        return f"{_name(error.param)}{link}{error.message}"
    words = re.sub(r"^([A-Z])", lambda first: first[1].lower(), error.format_message())
    return words.rstrip(".")


def _wants_a_command(context: click.Context) -> str:
    group = context.command
    if isinstance(group, click.Group):
        return f"{context.command_path} needs one of: {', '.join(group.list_commands(context))}"
    return f"{context.command_path} needs more: see {context.command_path} --help"


def _name(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Option):
        return parameter.opts[-1]
    return parameter.human_readable_name
