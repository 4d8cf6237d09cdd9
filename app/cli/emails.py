"""`mindsum emails`: every email as files; needs neither settings nor a database."""

from pathlib import Path

import click

from app.cli.common import Mistake, json_option, print_json
from emails import preview as previews


@click.group()
def emails() -> None:
    pass


@emails.command()
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("var/emails"),
    show_default=True,
    help="Where to write them.",
)
@json_option
def preview(folder: Path, as_json: bool) -> None:
    """Write every email from its sample: light, dark, text, calendar, source, and an index."""
    try:
        files = previews.write(folder)
    except OSError as error:
        raise Mistake(f"cannot write to {folder}: {error.strerror}") from None
    if as_json:
        print_json({"files": [str(file) for file in files]})
    else:
        click.echo(f"Wrote {len(files)} files; open {files[-1]}.")
