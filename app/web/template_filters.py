"""What templates may call: times in a named zone, lengths, money, addresses of static files."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from flask import Flask, current_app, url_for
from flask_bootstrap import Bootstrap5
from markupsafe import Markup

from app import clock
from emails import formatting

_REGIONS = frozenset(
    {"Africa", "America", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"}
)


def rfc3339(at: datetime) -> str:
    """An instant as addresses and forms carry it: `2026-11-03T10:00:00Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def time_tag(at: datetime, words: str) -> Markup:
    """`words` in a time element that says the instant to machines."""
    return Markup('<time datetime="{}">{}</time>').format(rfc3339(at), words)


def moment(at: datetime, zone: str) -> Markup:
    """`Tue 3 Nov 2026, 14:00 (London, GMT)`, as a time element."""
    return time_tag(at, formatting.date_time(at, zone))


def session_span(starts_at: datetime, zone: str, ends_at: datetime) -> Markup:
    """`Tue 3 Nov 2026, 14:00–14:50 (London, GMT)`, as a time element."""
    day, hours = formatting.date(starts_at, zone), formatting.time_range(starts_at, ends_at, zone)
    return time_tag(starts_at, f"{day}, {hours} ({formatting.zone_name(starts_at, zone)})")


def long_day(day: date) -> str:
    """`Tuesday 3 November`."""
    return f"{day:%A} {day.day} {day:%B}"


def local_day(at: datetime, zone: str) -> date:
    """The calendar day in that zone."""
    return at.astimezone(ZoneInfo(zone)).date()


def by_day(instants: Iterable[datetime], zone: str) -> list[tuple[date, list[datetime]]]:
    """Instants in order, grouped by the calendar day in that zone."""
    return [(day, list(group)) for day, group in groupby(instants, lambda at: local_day(at, zone))]


def time_left(until: datetime, now: datetime | None = None) -> str:
    """`2 hours 5 minutes left`, `5 minutes over`: how far an instant is from now."""
    left = until - (now or clock.now())
    words = formatting.duration(abs(left))
    return f"{words} left" if left >= timedelta(0) else f"{words} over"


@lru_cache(maxsize=1)
def zones() -> tuple[str, ...]:
    """The time zones to suggest; any other that exists may be typed."""
    named = (zone for zone in available_timezones() if zone.partition("/")[0] in _REGIONS)
    return (*sorted(zone for zone in named if zone.count("/") == 1), "UTC")


@lru_cache(maxsize=64)
def _fingerprint(path: Path, _written_ns: int) -> str:
    return sha256(path.read_bytes()).hexdigest()[:12]


def asset(filename: str, endpoint: str = "static") -> str:
    """The address of a static file; it changes with the content, so it can be kept for a year."""
    owner = current_app if endpoint == "static" else current_app.blueprints["bootstrap"]
    path = Path(str(owner.static_folder)) / filename
    return url_for(endpoint, filename=filename, v=_fingerprint(path, path.stat().st_mtime_ns))


def register(app: Flask) -> None:
    """Give templates their filters and functions."""
    Bootstrap5(app)
    app.jinja_env.filters.update(
        clock=formatting.time,
        day=formatting.short_date,
        date=formatting.date,
        zone_name=formatting.zone_name,
        span=formatting.time_range,
        money=formatting.money,
        price=formatting.price,
        percent=formatting.percent,
        near_day=formatting.relative_day,
        moment=moment,
        session_span=session_span,
        time_tag=time_tag,
        rfc3339=rfc3339,
        long_day=long_day,
        local_day=local_day,
        by_day=by_day,
        duration=formatting.duration,
        time_left=time_left,
    )
    app.jinja_env.globals.update(asset=asset, zones=zones)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
