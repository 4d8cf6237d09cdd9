"""iCalendar as text (RFC 5545). Written by hand: a library takes longer than all else of an email.

`tests/emails/test_ical.py` holds it to what icalendar writes.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime

# With the space that a continuation begins with, a line has 75 octets at most.
_MAX_OCTETS = 74
# A parameter with one of these is put in quotes.
_QUOTED = re.compile("[,;:’]")
_IN_TEXT = str.maketrans({"\\": "\\\\", ";": "\\;", ",": "\\,", "\n": "\\n"})
# RFC 6868.
_IN_PARAMETER = str.maketrans({"^": "^^", "\n": "^n", '"': "^'"})


def component(name: str, lines: Iterable[str]) -> str:
    """`lines` are properties and components."""
    return f"BEGIN:{name}\r\n{''.join(lines)}END:{name}\r\n"


def line(name: str, value: str, parameters: Mapping[str, str] | None = None) -> str:
    """A property, folded; `value` as it stands in a file: see `text` and `instant`."""
    named = "".join(f";{key}={_parameter(each)}" for key, each in (parameters or {}).items())
    return f"{_folded(f'{name}{named}:{value}')}\r\n"


def text(value: str) -> str:
    return value.replace("\r\n", "\n").replace("\r", "\n").translate(_IN_TEXT)


def instant(at: datetime) -> str:
    """`at` is in UTC."""
    return f"{at:%Y%m%dT%H%M%SZ}"


def _parameter(value: str) -> str:
    escaped = value.translate(_IN_PARAMETER)
    return f'"{escaped}"' if _QUOTED.search(escaped) else escaped


def _folded(unfolded: str) -> str:
    if len(unfolded) <= _MAX_OCTETS and unfolded.isascii():
        return unfolded
    parts, rest = [], unfolded.encode()
    while len(rest) > _MAX_OCTETS:
        # Neither within a character nor, as some programs read that wrong, after a backslash.
        part = rest[:_MAX_OCTETS].decode(errors="ignore").encode()
        if part[-1:] in (b"\\", b"^"):
            part = part[:-1]
        parts.append(part)
        rest = rest[len(part) :]
    return b"\r\n ".join([*parts, rest]).decode()
