"""CSV files that spreadsheet programs read as data and never as formulas."""

import csv
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from io import StringIO
from zoneinfo import ZoneInfo

from flask import Response

from emails import formatting

_FORMULA_STARTS = frozenset("=+-@＝＋－＠")
_WHITESPACE_STARTS = frozenset("\t\r\n")


def text(value: str) -> str:
    # An apostrophe in front of what a spreadsheet would run as a formula.
    is_risky = value[:1] in _WHITESPACE_STARTS or value.lstrip()[:1] in _FORMULA_STARTS
    return f"'{value}" if is_risky else value


def amount(minor: int, currency: str) -> str:
    """`54.00`, without the currency."""
    digits = formatting.minor_digits(currency)
    return f"{Decimal(minor).scaleb(-digits):.{digits}f}"


def local(at: datetime, zone: str) -> str:
    """`2026-11-03 10:00` in that time zone."""
    return f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"


def download(name: str, header: Sequence[str], rows: Iterable[Sequence[str | int]]) -> Response:
    # Without a byte order mark, Excel would guess another encoding than UTF-8.
    sheet = StringIO(newline="")
    writer = csv.writer(sheet)
    writer.writerow(header)
    writer.writerows(rows)
    return Response(
        sheet.getvalue().encode("utf-8-sig"),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )
