"""Messages as bytes for the wire; what needs encoding or folding is left to `email`'s policies."""

from binascii import b2a_qp
from collections.abc import Iterable, Mapping
from email.headerregistry import Address
from email.policy import SMTP, SMTPUTF8
from functools import lru_cache
from typing import Any

# A longer line is folded (RFC 5322).
_MAX_LINE = 78
# Written by hand: `email`'s own generator takes longer than all else that an email costs.
_PART = (
    "--{boundary}\r\n"
    'Content-Type: text/{subtype}; charset="utf-8"{parameters}\r\n'
    "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
)


def alternatives(
    fields: Iterable[tuple[str, str | Address]],
    parts: Iterable[tuple[str, str, Mapping[str, str]]],
    *,
    boundary: str,
    utf8: bool,
) -> bytes:
    """A multipart/alternative message; `parts` are (subtype of text, content, parameters).

    `boundary` must not occur in quoted-printable. `utf8`: headers may be beyond ASCII.
    """
    head = "".join(_field(name, value, utf8=utf8) for name, value in fields)
    head += "MIME-Version: 1.0\r\n"
    head += f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"\r\n\r\n'
    pieces = [head.encode("utf-8" if utf8 else "ascii")]
    for subtype, content, parameters in parts:
        more = "".join(f'; {name}="{value}"' for name, value in parameters.items())
        opening = _PART.format(boundary=boundary, subtype=subtype, parameters=more)
        pieces += (opening.encode("ascii"), _quoted_printable(content), b"\r\n")
    pieces.append(f"--{boundary}--\r\n".encode("ascii"))
    return b"".join(pieces)


def _quoted_printable(text: str) -> bytes:
    # Readable raw, and no server has to offer 8BITMIME.
    lines = text.encode("utf-8").splitlines()
    return b2a_qp(b"\r\n".join(lines) + b"\r\n", istext=True)


def _field(name: str, value: str | Address, *, utf8: bool) -> str:
    shown = str(value)
    if shown.isascii() and len(name) + len(": ") + len(shown) <= _MAX_LINE:
        return f"{name}: {shown}\r\n"
    if isinstance(value, Address):
        return _address_field(name, value.display_name, value.username, value.domain, utf8)
    return _folded(name, value, utf8=utf8)


@lru_cache(maxsize=64)
def _address_field(name: str, display_name: str, username: str, domain: str, utf8: bool) -> str:
    return _folded(name, Address(display_name, username, domain), utf8=utf8)


def _folded(name: str, value: str | Address, *, utf8: bool) -> str:
    policy: Any = SMTPUTF8 if utf8 else SMTP
    field: str = policy.header_factory(name, value).fold(policy=policy)
    return field
