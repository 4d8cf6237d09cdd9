"""A calendar as the libraries of two calendar programs read it."""

from datetime import UTC, datetime

from ical.calendar_stream import IcsCalendarStream
from icalendar import Calendar

# UID, SEQUENCE, STATUS, SUMMARY, DTSTART, DTEND, DTSTAMP.
Read = tuple[str, int, str, str, datetime, datetime, datetime]


def by_icalendar(content: bytes) -> list[Read]:
    return [
        (
            str(each["UID"]), int(each["SEQUENCE"]), str(each["STATUS"]), str(each["SUMMARY"]),
            each.decoded("DTSTART"), each.decoded("DTEND"), each.decoded("DTSTAMP"),
        )
        for each in Calendar.from_ical(content).walk("VEVENT")
    ]  # fmt: skip


def by_ical(content: bytes) -> list[Read]:
    found = IcsCalendarStream.calendar_from_ics(content.decode())
    read = []
    for each in found.events:
        assert each.uid and each.sequence is not None and each.status and each.summary
        assert isinstance(each.dtstart, datetime) and isinstance(each.dtend, datetime)
        assert isinstance(each.dtstamp, datetime)
        read.append(
            (
                each.uid, each.sequence, str(each.status.value), each.summary,
                each.dtstart.astimezone(UTC), each.dtend.astimezone(UTC),
                each.dtstamp.astimezone(UTC),
            )
        )  # fmt: skip
    return read


def read_by_both(content: bytes) -> list[Read]:
    one, other = by_icalendar(content), by_ical(content)
    assert one == other
    return one
