"""Spreadsheets to download: CSV that a spreadsheet program reads as data and never as formulas."""

import csv
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from io import StringIO
from zoneinfo import ZoneInfo

from flask import Response

from emails import formatting

_STARTS_A_FORMULA = frozenset("=+-@＝＋－＠")
_STARTS_A_CELL = frozenset("\t\r\n")


def text(value: str) -> str:
    """What people wrote as a cell: an apostrophe in front keeps it from being a formula."""
    is_risky = value[:1] in _STARTS_A_CELL or value.lstrip()[:1] in _STARTS_A_FORMULA
    return f"'{value}" if is_risky else value


def amount(minor: int, currency: str) -> str:
    """`54.00`: an amount without its currency, which has a column of its own."""
    digits = formatting.minor_digits(currency)
    return f"{Decimal(minor).scaleb(-digits):.{digits}f}"


def local(at: datetime, zone: str) -> str:
    """`2026-11-03 10:00`: the wall clock of a zone that has a column of its own."""
    return f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"


def download(name: str, header: Sequence[str], rows: Iterable[Sequence[str | int]]) -> Response:
    """A CSV file in UTF-8, marked as such for the programs that would guess otherwise."""
    sheet = StringIO(newline="")
    writer = csv.writer(sheet)
    writer.writerow(header)
    writer.writerows(rows)
    return Response(
        sheet.getvalue().encode("utf-8-sig"),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )
