"""CSV files that spreadsheet programs read as data and never as formulas."""

import csv
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from io import StringIO
from zoneinfo import ZoneInfo

from flask import Response

from app.rules.names import BLANKS
from emails import formatting

_FORMULA_STARTS = frozenset("=+-@")
_WHITESPACE_STARTS = frozenset("\t\r\n")


def text(value: str) -> str:
    # An apostrophe in front of what a spreadsheet would run as a formula.
    first = next((char for char in value if not _is_invisible(char)), "")
    # NFKC turns full-width and other forms of a sign into the sign itself.
    is_formula = unicodedata.normalize("NFKC", first)[:1] in _FORMULA_STARTS
    return f"'{value}" if is_formula or value[:1] in _WHITESPACE_STARTS else value


def _is_invisible(char: str) -> bool:
    # Separators, controls, and marks without a letter before them.
    return unicodedata.category(char)[0] in "ZCM" or char in BLANKS


def amount(minor: int, currency: str) -> str:
    """`54.00`, without the currency."""
    digits = formatting.minor_digits(currency)
    return f"{Decimal(minor).scaleb(-digits):.{digits}f}"


def local(at: datetime, zone: str) -> str:
    """`2026-11-03 10:00` in that time zone; `2026-10-25 01:30 GMT` where clocks show it twice."""
    return f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d} {formatting.time(at, zone)}"


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
