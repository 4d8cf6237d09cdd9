"""CSV files that spreadsheet programs read as data and never as formulas."""

import csv
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from io import StringIO
from itertools import chain, islice
from zoneinfo import ZoneInfo

from flask import Response

from app.rules.names import BLANKS
from emails import formatting

_FORMULA_STARTS = frozenset("=+-@")
_WHITESPACE_STARTS = frozenset("\t\r\n")
# Semicolons separate cells where a comma is the decimal sign.
_OTHER_CELL = re.compile(r"[^;]+")
_ROWS_AT_ONCE = 200


def text(value: str) -> str:
    # Where a spreadsheet's separator is another one, each part would be a cell.
    return _OTHER_CELL.sub(lambda part: _without_formula(part[0]), value)


def _without_formula(value: str) -> str:
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
    return f"{at.astimezone(ZoneInfo(zone)).date()} {formatting.time(at, zone)}"


def download(name: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> Response:
    """Sent as the rows come. They are read after the request, so they bring their connection."""
    parts = _parts(header, rows)
    # Read before the answer begins, so that a fault of the first rows is an error page.
    first = next(parts)
    return Response(
        chain([first], parts),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )


def _parts(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[bytes]:
    # Without a byte order mark, Excel would guess another encoding than UTF-8.
    encoding, rest = "utf-8-sig", iter(rows)
    part: Sequence[Sequence[str]] = [header, *islice(rest, _ROWS_AT_ONCE)]
    while part:
        sheet = StringIO(newline="")
        csv.writer(sheet).writerows(part)
        yield sheet.getvalue().encode(encoding)
        encoding, part = "utf-8", list(islice(rest, _ROWS_AT_ONCE))
