"""A therapist's account as the command line prints it."""

import click

from app import clock, config
from app.cli.common import print_details, print_json, print_table, utc
from app.rules.weekly_hours import format_windows
from app.schemas import TherapistDetail
from app.services import availability
from app.services.therapists import ranking
from app.store import queries, suppressions
from app.store.models import Therapist
from emails import formatting


def account_json(row: Therapist) -> dict[str, object]:
    """The API's fields, and those that are for ops alone."""
    unreachable = suppressions.of_address(row.email)
    detail = TherapistDetail.with_factors(row, ranking.explain(row, clock.now()))
    return {
        **detail.model_dump(mode="json"),
        "given_name": row.given_name,
        "email": row.email,
        "timezone": row.timezone,
        "available": format_windows(availability.windows_of(row)),
        "meeting_url": row.meeting_url,
        "unreachable_since": utc(unreachable.at) if unreachable else None,
    }


def account_state(row: Therapist) -> str:
    is_unreached = suppressions.of_address(row.email) is not None
    return f"{row.state}, unreachable: not listed" if is_unreached else row.state


def _unreachable(row: Therapist) -> str | None:
    unreachable = suppressions.of_address(row.email)
    if unreachable is None:
        return None
    what = f"since {utc(unreachable.at)}: {unreachable.reason}"
    command = f"{config.current().command} therapist reachable {row.slug}"
    return f"{what}; not listed until an email arrives, or: {command}"


def print_account(row: Therapist, as_json: bool) -> None:
    if as_json:
        print_json({**account_json(row), "phone": queries.phone_of(row)})
        return
    print_details(
        (
            ("slug", row.slug),
            ("name", row.name),
            ("given name", row.given_name),
            ("email", row.email),
            ("phone", queries.phone_of(row)),
            ("account", row.state),
            ("unreachable", _unreachable(row)),
            ("streak", row.streak),
            ("flagged", "yes" if row.flagged_at else "no"),
            ("rate", formatting.money(row.rate_minor, row.currency)),
            ("free consultation", "yes" if row.offers_free_consultation else "no"),
            ("timezone", row.timezone),
            ("available", format_windows(availability.windows_of(row)) or "no hours yet"),
            ("meets at", row.meeting_url),
            ("score", row.shown_score),
        )
    )
    click.echo()
    print_table(
        ("factor", "value", "explanation"),
        [(each.name, each.value, each.explanation) for each in ranking.explain(row, clock.now())],
        empty="",
    )
