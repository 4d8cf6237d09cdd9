"""`mindsum client`: export and erase what is held on a client; change the address."""

import json

import click

from app import clock
from app.cli import erasing
from app.cli.common import Checked, Mistake, json_option, print_json, with_database
from app.errors import InvalidFields
from app.services import validation
from app.services.clients.erase import erase_client
from app.services.clients.export import export_client
from app.services.clients.links import change_address
from app.services.inbound import revoke
from app.services.ops import acts
from app.store import queries

email_argument = click.argument("email")


@click.group()
def client() -> None:
    pass


@client.command()
@email_argument
@json_option
@with_database
def export(email: str, as_json: bool) -> None:
    """Print everything held on a client, as indented JSON."""
    data = export_client(email, clock.now())
    if as_json:
        print_json(data)
    else:
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))


@client.command()
@email_argument
@json_option
@with_database
def erase(email: str, as_json: bool) -> None:
    """Remove everything held on a client; the ledger stays, without their name."""
    person = queries.client_by_email(email)
    address, references = person.email if person else email, erasing.references_of(person)
    names = set(queries.names_of_client(person)) if person else ()
    try:
        bookings = erase_client(email, clock.now())
    except InvalidFields as error:
        raise Mistake(f"{email} {error.errors[0].message}") from None
    erasing.empty_demo_mailbox(address, references, names)
    erasing.print_erased(bookings, as_json=as_json)


@client.command()
@email_argument
@click.argument("new", type=Checked("NEW", validation.email))
@json_option
@with_database
def address(email: str, new: str, as_json: bool) -> None:
    """Change a client's address, also for emails that wait; links sent to the old one end."""
    try:
        now = clock.now()
        changed = acts.record_change("client_address", now, lambda: change_address(email, new, now))
    except InvalidFields as error:
        raise Mistake(f"NEW {error.errors[0].message}") from None
    if as_json:
        print_json({"email": changed.email})
    else:
        click.echo(f"Emails to this client now go to {changed.email}.")


@client.command("revoke-addresses")
@email_argument
@json_option
@with_database
def revoke_addresses(email: str, as_json: bool) -> None:
    """End the reply and calendar addresses that a client knows, after a leak."""
    revoked = acts.record_change("revoke_addresses", clock.now(), lambda: revoke.of_client(email))
    if as_json:
        print_json({"email": revoked.email, "revoked": True})
    else:
        click.echo("Addresses in earlier emails to this client have ended.")
