"""`mindsum therapist`: open accounts, read them and change their state."""

import json
from collections.abc import Callable

import click

from app import clock, config
from app.cli import erasing
from app.cli.account_text import account_json, account_state, print_account
from app.cli.common import (
    Checked,
    Mistake,
    json_option,
    print_json,
    print_table,
    with_database,
)
from app.errors import InvalidFields
from app.rules.weekly_hours import Window, parse_windows
from app.services import validation
from app.services.inbound import revoke
from app.services.mail import expiry
from app.services.ops import accounts as ops
from app.services.ops import acts
from app.services.therapists import accounts, profile, standing
from app.services.therapists.erase import erase_therapist
from app.services.therapists.export import export_therapist
from app.store import queries
from app.store.models import Therapist
from emails import formatting

slug_argument = click.argument("slug")
off_option = click.option("--off", is_flag=True, help="Undo it.")


def _rate(text: str) -> int:
    try:
        return validation.rate(text, config.current().currency)
    except ValueError as error:
        raise ValueError(f"should be {error}") from None


def _meeting_url(text: str) -> str:
    return validation.meeting_url(text) or ""


def _phone(text: str) -> str:
    return validation.phone(text) if text.strip() else ""


@click.group()
def therapist() -> None:
    pass


@therapist.command()
@click.option("--slug", type=Checked("SLUG", validation.slug), required=True)
@click.option("--name", type=Checked("NAME", validation.name), required=True)
@click.option("--given-name", type=Checked("NAME", validation.given_name),
              help="What clients call them; derived from --name if left out.")  # fmt: skip
@click.option("--email", type=Checked("EMAIL", validation.email), required=True)
@click.option("--timezone", type=Checked("TZ", validation.timezone), required=True)
@click.option("--rate", type=Checked("AMOUNT", _rate), required=True,
              help="For one paid session, such as 60.00.")  # fmt: skip
@click.option("--available", type=Checked("HOURS", parse_windows), default="",
              help='Weekly hours, such as "Mon-Fri 09:00-17:00".')  # fmt: skip
@click.option("--no-free-consultation", is_flag=True, help="Offer paid sessions only.")
@click.option("--meeting-url", type=Checked("URL", validation.web_address), help="Where to meet.")
@click.option("--phone", type=Checked("NUMBER", _phone), default="",
              help="For ops alone; kept encrypted.")  # fmt: skip
@click.option("--no-welcome", is_flag=True,
              help="Send no welcome email, as for accounts that come from elsewhere.")  # fmt: skip
@json_option
@with_database
def add(
    slug: str,
    name: str,
    given_name: str | None,
    email: str,
    timezone: str,
    rate: int,
    available: tuple[Window, ...],
    no_free_consultation: bool,
    meeting_url: str | None,
    phone: str,
    no_welcome: bool,
    as_json: bool,
) -> None:
    """Open an account and welcome its therapist by email."""
    new = accounts.NewTherapist(
        slug=slug,
        name=name,
        given_name=given_name,
        email=email,
        timezone=timezone,
        rate_minor=rate,
        windows=available,
        offers_free_consultation=not no_free_consultation,
        meeting_url=meeting_url,
        phone=phone,
    )
    try:
        added = ops.open_account(new, clock.now(), is_welcomed=not no_welcome)
    except InvalidFields as error:
        first = error.errors[0]
        raise Mistake(f"--{first.field} {first.message}") from None
    print_account(added, as_json)


@therapist.command("list")
@json_option
@with_database
def list_(as_json: bool) -> None:
    """List all therapists, also those who are not listed on the site."""
    rows = queries.every_therapist()
    if as_json:
        print_json([account_json(each) for each in rows])
        return
    print_table(
        ("slug", "name", "account", "streak", "flagged", "score", "rate"),
        [
            (
                each.slug,
                each.name,
                account_state(each),
                each.streak,
                "flagged" if each.flagged_at else "",
                each.shown_score,
                formatting.money(each.rate_minor, each.currency),
            )
            for each in rows
        ],
        empty=f"No therapist yet: {config.current().command} therapist add opens an account.",
    )


@therapist.command()
@slug_argument
@json_option
@with_database
def show(slug: str, as_json: bool) -> None:
    """Print an account: its state, standing, hours, and what makes its score."""
    row, now = queries.therapist_by_slug(slug), clock.now()
    acts.record_view(acts.view_of("therapist", therapist=row), now)
    print_account(row, as_json)


@therapist.command()
@slug_argument
@click.option("--reason", type=Checked("TEXT", validation.text), default="",
              help="Why; kept on record, for ops and the therapist's export.")  # fmt: skip
@json_option
@with_database
def reactivate(slug: str, reason: str, as_json: bool) -> None:
    """Reopen a deactivated account with streak 0 and no flag."""
    was_deactivated = standing.reactivate(slug, clock.now(), reason=reason)
    row = queries.therapist_by_slug(slug)
    if not was_deactivated:
        raise Mistake(f"{slug} is {row.state}; only a deactivated account can be reactivated")
    print_account(row, as_json)


@therapist.command()
@slug_argument
@off_option
@json_option
@with_database
def pause(slug: str, off: bool, as_json: bool) -> None:
    """Temporarily deactivate: not listed, no new bookings."""
    print_account(_act("pause", off, lambda: accounts.pause(slug, on=not off)), as_json)


@therapist.command()
@slug_argument
@off_option
@json_option
@with_database
def hide(slug: str, off: bool, as_json: bool) -> None:
    """Make the profile invisible: not listed, still bookable by direct link."""
    print_account(_act("hide", off, lambda: accounts.hide(slug, on=not off)), as_json)


@therapist.command()
@slug_argument
@click.argument("email", type=Checked("EMAIL", validation.email))
@json_option
@with_database
def address(slug: str, email: str, as_json: bool) -> None:
    """Change the email address, also for emails that wait.

    Sessions, and all links that were sent to the old address, end.
    """
    try:
        now = clock.now()
        changed = acts.record_change(
            "therapist_address", now, lambda: accounts.change_address(slug, email, now)
        )
    except InvalidFields as error:
        raise Mistake(f"EMAIL {error.errors[0].message}") from None
    unsent = queries.failed_emails_to(changed)
    failed = [each.id for each in unsent if not expiry.why_stale(each, clock.now())]
    if as_json:
        print_json({**account_json(changed), "failed_emails": failed})
        return
    click.echo(f"Emails to {slug} now go to {changed.email}.")
    retry = f"{config.current().command} outbox retry"
    for number in failed:
        click.echo(f"One email failed before; to send it again: {retry} {number}")


@therapist.command("set")
@slug_argument
@click.option("--name", type=Checked("NAME", validation.name))
@click.option("--given-name", type=Checked("NAME", validation.given_name))
@click.option("--email", type=Checked("EMAIL", validation.email))
@click.option("--timezone", type=Checked("TZ", validation.timezone))
@click.option("--rate", metavar="AMOUNT", help="For one paid session, such as 60.00.")
@click.option("--available", type=Checked("HOURS", parse_windows),
              help='Weekly hours, such as "Mon-Fri 09:00-17:00"; "" for none.')  # fmt: skip
@click.option("--free-consultation/--no-free-consultation", "offers_free_consultation",
              default=None, help="Whether a free consultation is offered.")  # fmt: skip
@click.option("--meeting-url", type=Checked("URL", _meeting_url), help='"" for none.')
@click.option("--headline", type=Checked("TEXT", validation.headline), help="One line.")
@click.option("--about", type=Checked("TEXT", validation.text), help="What clients read.")
@click.option("--specialisms", type=Checked("LIST", validation.specialisms),
              help="Separated by commas.")  # fmt: skip
@click.option("--qualifications", type=Checked("TEXT", validation.qualifications), help="One line.")
@click.option("--languages", type=Checked("LIST", validation.languages),
              help="Separated by commas.")  # fmt: skip
@click.option("--phone", type=Checked("NUMBER", _phone), help='For ops alone; "" for none.')
@json_option
@with_database
def set_(
    slug: str,
    email: str | None,
    rate: str | None,
    available: tuple[Window, ...] | None,
    phone: str | None,
    as_json: bool,
    **given: str | bool | None,
) -> None:
    """Change an account as its therapist can in Profile Settings; bookings keep their price."""
    row, now = queries.therapist_by_slug(slug), clock.now()
    changes: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    if changes.get("meeting_url") == "":
        changes["meeting_url"] = None
    if rate is not None:
        try:
            changes["rate_minor"] = validation.rate(rate, row.currency)
        except ValueError as error:
            raise Mistake(f"--rate should be {error}, not {rate[:60]!r}") from None
    others = {"email": email, "available": available, "phone": phone}
    named = [*changes, *(name for name, value in others.items() if value is not None)]
    if not named:
        usage = f"{config.current().command} therapist set --help"
        raise Mistake(f"therapist set needs something to change: see {usage}")
    try:
        changed = acts.record_change(
            f"therapist_set {' '.join(named)}",
            now,
            lambda: profile.change(
                slug, changes, now, address=email, windows=available, phone=phone
            ),
        )
    except InvalidFields as error:
        raise Mistake(f"--{error.errors[0].field} {error.errors[0].message}") from None
    print_account(changed, as_json)


@therapist.command()
@slug_argument
@json_option
@with_database
def export(slug: str, as_json: bool) -> None:
    """Print everything held on a therapist, as indented JSON; without what clients wrote."""
    data = export_therapist(slug, clock.now())
    if as_json:
        print_json(data)
    else:
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))


@therapist.command()
@slug_argument
@json_option
@with_database
def erase(slug: str, as_json: bool) -> None:
    """Remove everything held on a therapist; bookings and ledger stay, without their name.

    Private notes go too: export them first, since law may ask the therapist to keep them.
    """
    row = queries.therapist_by_slug(slug)
    references, names = erasing.references_of(row), {row.name, row.given_name}
    try:
        bookings = erase_therapist(slug, clock.now())
    except InvalidFields as error:
        raise Mistake(f"{slug} {error.errors[0].message}") from None
    erasing.empty_demo_mailbox(row.email, references, names)
    erasing.print_erased(bookings, as_json=as_json)


@therapist.command("sign-out")
@click.argument("slug", required=False)
@click.option(
    "--all", "everybody", is_flag=True, help="Everybody, ops too, such as after a restore."
)
@json_option
@with_database
def sign_out(slug: str | None, everybody: bool, as_json: bool) -> None:
    """Sign a therapist out everywhere; Sign In links not used yet end too."""
    if (slug is None) is not everybody:
        raise Mistake("therapist sign-out needs a SLUG or --all")
    ended = ops.sign_out(slug, clock.now())
    if as_json:
        print_json({"slug": slug, "ended": ended})
        return
    count = "one session" if ended == 1 else f"{ended} sessions"
    click.echo(f"{slug or 'Everybody'} is signed out everywhere; {count} ended.")


@therapist.command()
@slug_argument
@json_option
@with_database
def reachable(slug: str, as_json: bool) -> None:
    """Say that emails arrive again, so that the account is listed again.

    An account that our emails do not reach is not listed until one arrives or this is said.
    """
    if not accounts.declare_reachable(slug, clock.now()):
        raise Mistake(f"{slug} was not unreachable")
    print_account(queries.therapist_by_slug(slug), as_json)


def _act(what: str, is_end: bool, change: Callable[[], Therapist]) -> Therapist:
    return acts.record_change(f"{what}_end" if is_end else what, clock.now(), change)


@therapist.command("revoke-addresses")
@slug_argument
@json_option
@with_database
def revoke_addresses(slug: str, as_json: bool) -> None:
    """End the reply and calendar addresses that the therapist knows, after a leak."""
    revoked = acts.record_change("revoke_addresses", clock.now(), lambda: revoke.of_therapist(slug))
    if as_json:
        print_json({"slug": revoked.slug, "revoked": True})
    else:
        click.echo(f"Addresses in earlier emails to {revoked.slug} have ended.")
