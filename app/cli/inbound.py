"""`mindsum inbound < message`: hands one message to the mail door, for a mail server's pipe."""

import sys
import traceback
from contextlib import suppress

import click

from app import clock, config
from app.cli import say, words_and_status
from app.cli.common import Mistake, json_option, print_json, with_database
from app.mail_reading.recipients import recipients
from app.services.inbound.receive import Taken, receive

LARGEST_BYTES = 10 * 1024 * 1024
# sysexits.h: what Postfix and others make of an exit status of a pipe.
NO_USER, DATA_ERROR, TRY_LATER = 67, 65, 75
_STATUS = {Taken.STORED: 0, Taken.REPEATED: 0, Taken.UNKNOWN: NO_USER, Taken.TOO_MANY: TRY_LATER}


@click.command()
@click.option("--to", "recipient", help="The address it came to; else Delivered-To or To say it.")
@click.option("--from", "sender", help="MAIL FROM; else Return-Path says it.")
@json_option
def inbound(recipient: str | None, sender: str | None, as_json: bool) -> int:
    """Store one message from standard input; the scheduler acts on it.

    Exit status 67: no such address here, 75: try again later, as mail servers know them.
    """
    try:
        return _take(recipient, sender, as_json)
    except _NoDoor:
        raise
    except Exception as error:
        # For any other status a mail server would give the message up.
        try:
            words, _ = words_and_status(error)
        except Exception:
            with suppress(OSError):
                traceback.print_exc()
            return TRY_LATER
        return say(words, TRY_LATER)


class _NoDoor(Mistake):
    pass


@with_database
def _take(recipient: str | None, sender: str | None, as_json: bool) -> int:
    domain = config.current().inbound_domain
    if domain is None:
        raise _NoDoor("there is no mail door: set INBOUND_DOMAIN")
    raw = sys.stdin.buffer.read(LARGEST_BYTES + 1) if sys.stdin is not None else b""
    if not raw or len(raw) > LARGEST_BYTES:
        click.echo("mindsum: the message is empty or larger than 10 MB", err=True)
        return DATA_ERROR
    found = recipients(raw, domain)
    is_from_server = found.is_from_server if sender is None else sender.strip("<> ") == ""
    now, results = clock.now(), dict[str, Taken]()
    for address in [recipient] if recipient else found.addresses:
        results[address] = receive(address, raw, is_from_server=is_from_server, now=now)
    if as_json:
        print_json({"taken": [str(each) for each in results.values()]})
    if not results:
        click.echo(f"mindsum: no address of {domain} is among the recipients", err=True)
        return NO_USER
    statuses = [_STATUS[each] for each in results.values()]
    # Delivered to one of several is delivered; what is known to be temporary is tried again.
    return TRY_LATER if TRY_LATER in statuses else min(statuses)
