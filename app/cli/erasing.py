"""What the commands that erase a person share: the demo's mailbox, and what may still hold them."""

from collections.abc import Collection

import click

from app import config
from app.cli.common import print_json
from app.demo import maildir
from app.services.ops import scrub
from app.store.models import Booking, Client, Therapist


def references_of(person: Client | Therapist | None) -> list[str]:
    if person is None:
        return []
    theirs = Booking.client if isinstance(person, Client) else Booking.therapist
    return [each.reference for each in Booking.select(Booking.reference).where(theirs == person)]


def empty_demo_mailbox(to: str, references: Collection[str], names: Collection[str]) -> None:
    """The demo's mailboxes of everybody are on this machine."""
    folder = config.current().demo_dir
    if folder is not None:
        maildir.remove(folder / "mail", to=[to], references=references, names=names)


def print_erased(bookings: int, *, as_json: bool) -> None:
    is_remembered = config.current().erasure_log_path is not None
    left = scrub.remains(is_remembered=is_remembered)
    if as_json:
        facts = {"erased": True, "bookings": bookings, "remembered": is_remembered, "left": left}
        print_json(facts)
        return
    click.echo(f"Erased. Bookings kept in the ledger without a name: {bookings}.")
    click.echo("What may still hold it:")
    for each in left:
        click.echo(f"- {each}")
