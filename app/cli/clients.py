"""Clients: giving people what is held on them, and removing it."""

import json

import click

from app import clock
from app.cli.common import Mistake, json_option, machine, with_database
from app.errors import InvalidFields
from app.services import clients

email_argument = click.argument("email")


@click.group()
def client() -> None:
    """Export and erase what is held on a client."""


@client.command()
@email_argument
@json_option
@with_database
def export(email: str, as_json: bool) -> None:
    """Print all that is held on a client, as JSON that people can read too."""
    held = clients.export(email)
    if as_json:
        machine(held)
    else:
        click.echo(json.dumps(held, indent=2, ensure_ascii=False))


@client.command()
@email_argument
@json_option
@with_database
def erase(email: str, as_json: bool) -> None:
    """Remove what is held on a client; the ledger stays, without their name."""
    try:
        bookings = clients.erase(email, clock.now())
    except InvalidFields as error:
        raise Mistake(f"{email} {error.errors[0].message}") from None
    if as_json:
        machine({"erased": True, "bookings": bookings})
    else:
        click.echo(f"Erased. Bookings that stay without a name: {bookings}.")
