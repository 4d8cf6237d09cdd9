"""`mindsum access`: who looked at people's data, and who tried to."""

from datetime import datetime

import click

from app.cli.common import (
    INSTANT,
    REFERENCE,
    json_option,
    limit_option,
    print_json,
    print_table,
    utc,
    with_database,
)
from app.store import queries
from app.store.models import AccessEntry


@click.group()
def access() -> None:
    pass


@access.command("list")
@click.option("--booking", "reference", metavar="REF", type=REFERENCE,
              help="Only what was about this booking.")  # fmt: skip
@click.option("--therapist", "slug", metavar="SLUG", help="Only what was about this therapist.")
@click.option("--since", type=INSTANT, help="Only what happened from then on.")
@limit_option
@json_option
@with_database
def list_(
    reference: str | None, slug: str | None, since: datetime | None, limit: int, as_json: bool
) -> None:
    """List who read, opened, exported and tried what, the newest first."""
    rows = queries.newest_access(
        booking=queries.booking_by_reference(reference) if reference else None,
        therapist=queries.therapist_by_slug(slug) if slug else None,
        since=since,
        limit=limit,
    )
    shown = [_json(each) for each in rows]
    if as_json:
        print_json(shown)
        return
    columns = (
        "at",
        "event",
        "about",
        "by",
        "ops",
        "via",
        "booking",
        "therapist",
        "times",
        "network",
    )
    print_table(
        ("at (UTC)", *columns[1:]),
        [[each[name] for name in columns] for each in shown],
        empty="Nothing on record fits.",
    )


def _json(entry: AccessEntry) -> dict[str, object]:
    return {
        "at": utc(entry.at),
        "last_at": utc(entry.last_at),
        "times": entry.times,
        "event": entry.event,
        "about": entry.about,
        "by": entry.by,
        "via": entry.via,
        "ops": entry.ops_address or None,
        "booking": entry.booking.reference if entry.booking else None,
        "therapist": entry.therapist.slug if entry.therapist else None,
        "client": entry.client_id,
        "network": entry.network or None,
        "link_made_at": utc(entry.link_made_at),
        "email": entry.email_id,
    }
