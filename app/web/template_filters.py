"""Filters and functions for templates: times, durations, money."""

import re
from collections.abc import Iterable
from datetime import date, datetime
from functools import lru_cache
from itertools import groupby
from zoneinfo import ZoneInfo

from flask import Flask, before_render_template, g
from markupsafe import Markup

from app import config
from app.rules.cancellation import CancellingRule
from app.services import validation
from app.web import booking_text, scripts, static_files
from emails import fee_words, formatting
from emails.fee_words import FeeWords
from emails.zones import NAMES as ZONE_NAMES

# Three digits or more; their groups may be apart.
_PHONE = re.compile(r"(\+?\d(?:[ -]?\d){2,})")
_REGIONS = frozenset(
    {"Africa", "America", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"}
)


def rfc3339(at: datetime) -> str:
    """`2026-11-03T10:00:00Z`."""
    return validation.instant_text(at)


def time_tag(at: datetime, text: str) -> Markup:
    return Markup('<time datetime="{}">{}</time>').format(rfc3339(at), text)


def date_time(at: datetime, zone: str, *, aside: bool = False) -> Markup:
    """`Tue 3 Nov 2026, 14:00 (London, GMT)`, without the zone that the page named last.

    `aside`: the lines after it are in the zone that was named before.
    """
    text = formatting.date_time(at, zone, g.get("zone_named", ""))
    if not aside:
        zone_name(at, zone)
    return time_tag(at, text)


def session_time(
    starts_at: datetime, zone: str, ends_at: datetime, *, listed: bool = False
) -> Markup:
    """`Tue 3 Nov 2026, 14:00–14:50 (London, GMT)`, `listed` without the zone named last."""
    day, hours = formatting.date(starts_at, zone), formatting.time_range(starts_at, ends_at, zone)
    is_named = formatting.zone_name(starts_at, zone) == g.get("zone_named")
    suffix = "" if listed and is_named else f" ({zone_name(starts_at, zone)})"
    return time_tag(starts_at, f"{day}, {hours}{suffix}")


def zone_name(at: datetime, zone: str) -> str:
    """`London, GMT`."""
    return name_zone(formatting.zone_name(at, zone))


def name_zone(name: str) -> str:
    """The name, which the lines after it need not repeat."""
    g.zone_named = name
    return name


def zone_named_below(at: datetime, zone: str) -> str:
    """Empty text. A later line names the zone, so times before that line leave it out."""
    zone_name(at, zone)
    return ""


def times_in(name: str) -> str:
    """`Times in London, GMT.`, or nothing where the page named that zone last."""
    return "" if name == g.get("zone_named") else f"Times in {name_zone(name)}."


def cancelling(fee: FeeWords, rule: CancellingRule, zone: str) -> str:
    return fee_words.cancelling(fee, rule, zone, g.get("zone_named", ""))


def leaving_now(fee: FeeWords, rule: CancellingRule, zone: str) -> str:
    return fee_words.leaving_now(fee, rule, zone, g.get("zone_named", ""))


def _forget_zone(_app: Flask, **_of_signal: object) -> None:
    g.pop("zone_named", None)


def long_day(day: date) -> str:
    """`Tuesday 3 November`."""
    return f"{day:%A} {day.day} {day:%B}"


def short_day(day: date) -> str:
    """`Tue 3 Nov`."""
    return f"{day:%a} {day.day} {day:%b}"


def local_day(at: datetime, zone: str) -> date:
    return at.astimezone(ZoneInfo(zone)).date()


def by_day(instants: Iterable[datetime], zone: str) -> list[tuple[date, list[datetime]]]:
    return [(day, list(group)) for day, group in groupby(instants, lambda at: local_day(at, zone))]


def time_left(until: datetime, now: datetime) -> str:
    """`2 hours 5 minutes left`, or `5 minutes over`."""
    words = formatting.duration(abs(until - now))
    return f"{words} left" if until >= now else f"{words} over"


def phone_links(text: str) -> Markup:
    """The text with each phone number as a link that calls it."""
    parts = _PHONE.split(text)
    # Every second part is a number.
    linked = (
        Markup('<a href="tel:{}">{}</a>').format("".join(part.split()), part) if index % 2 else part
        for index, part in enumerate(parts)
    )
    return Markup("").join(linked)


@lru_cache(maxsize=1)
def zones() -> tuple[str, ...]:
    """Time zones to suggest: those named after a city, and UTC."""
    by_city = (zone for zone in ZONE_NAMES if zone.count("/") == 1)
    return (*sorted(zone for zone in by_city if zone.partition("/")[0] in _REGIONS), "UTC")


def register(app: Flask) -> None:
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    _add_filters(app)
    _add_globals(app)
    before_render_template.connect(_forget_zone, app)


def _add_filters(app: Flask) -> None:
    app.jinja_env.filters.update(
        time=formatting.time,
        time_range=formatting.time_range,
        short_date=formatting.short_date,
        date=formatting.date,
        relative_day=formatting.relative_day,
        zone_name=zone_name,
        name_zone=name_zone,
        times_in=times_in,
        duration=formatting.duration,
        money=formatting.money,
        price=formatting.price,
        percent=formatting.percent,
        date_time=date_time,
        session_time=session_time,
        time_tag=time_tag,
        rfc3339=rfc3339,
        long_day=long_day,
        short_day=short_day,
        by_day=by_day,
        time_left=time_left,
        phone_links=phone_links,
        sentence=fee_words.sentence,
    )


def _add_globals(app: Flask) -> None:
    app.jinja_env.globals.update(
        in_demo=lambda: config.current().demo_dir is not None,
        has_ops_desk=lambda: bool(config.current().ops_sign_in),
        zone_named_below=zone_named_below,
        asset=static_files.asset,
        script=scripts.script,
        zones=zones,
        crisis_note=lambda: config.current().crisis_note,
        reminder_times=booking_text.reminder_times,
        fee_of_offer=booking_text.fee_of_offer,
        rule_if_kept=booking_text.rule_if_kept,
        rule_if_taken=booking_text.rule_if_taken,
        rule_of_offer=booking_text.rule_of_offer,
        withdrawing=fee_words.withdrawing,
        cancelling=cancelling,
        if_move_is_asked=fee_words.if_move_is_asked,
        cancelling_any_time=fee_words.cancelling_any_time,
        leaving_now=leaving_now,
        why_cancelled=fee_words.why_cancelled,
        if_not_accepted=lambda: fee_words.IF_NOT_ACCEPTED[config.current().payment],
    )
