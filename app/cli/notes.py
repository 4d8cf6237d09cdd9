"""`mindsum notes`: encrypt what people wrote again, under another key."""

import click
from rich.console import Console
from rich.progress import Progress as Bar

from app import clock, config
from app.cli import FAULT
from app.cli.common import json_option, print_json, with_database
from app.services.ops import rekey as rekeying
from app.store import encryption


@click.group()
def notes() -> None:
    pass


@notes.command()
@json_option
@with_database
def rekey(as_json: bool) -> int:
    """Encrypt every stored text again under the newest key of NOTES_KEY.

    It works beside a running site, in small batches; stopped, it goes on where it was. Exit status
    1 if no key opens some text; that text stays as it is.
    """
    total = rekeying.Progress()
    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Encrypting", total=rekeying.stale_count())
        for batch in rekeying.rekey(clock.now()):
            total += batch
            bar.update(task, advance=batch.rewritten + batch.unreadable)
    newest = encryption.fingerprint(config.current().notes_key[0])
    if as_json:
        print_json({"key": newest, "rewritten": total.rewritten, "unreadable": total.unreadable})
    else:
        click.echo(f"Encrypted again: {total.rewritten}. The key has the fingerprint {newest}.")
    if total.unreadable and not as_json:
        click.echo(f"No key in NOTES_KEY opens {total.unreadable} more; they stay.", err=True)
    return FAULT if total.unreadable else 0
