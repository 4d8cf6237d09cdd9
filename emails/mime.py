"""Messages as bytes for the wire: bodies are encoded here, header fields by `email`'s policies."""

from binascii import b2a_qp
from collections.abc import Iterable, Mapping
from email.headerregistry import Address
from email.policy import SMTP, SMTPUTF8
from functools import lru_cache
from typing import Any

# A longer header field is folded (RFC 5322).
_MAX_FIELD = 78
# No line may be longer.
_MAX_LINE = 998
# Written by hand: `email`'s own generator takes longer than all else that an email costs.
_PART = (
    "--{boundary}\r\n"
    'Content-Type: text/{subtype}; charset="utf-8"{parameters}\r\n'
    "Content-Transfer-Encoding: {encoding}\r\n\r\n"
)


def alternatives(
    fields: Iterable[tuple[str, str | Address]],
    parts: Iterable[tuple[str, str, Mapping[str, str]]],
    *,
    boundary: str,
    utf8: bool,
) -> bytes:
    """A multipart/alternative message; `parts` are (subtype of text, content, parameters).

    In HTML, characters beyond ASCII become references, so that it seldom needs an encoding.
    `boundary` must not occur in quoted-printable. `utf8`: headers may be beyond ASCII.
    """
    head = "".join(_field(name, value, utf8=utf8) for name, value in fields)
    head += "MIME-Version: 1.0\r\n"
    head += f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"\r\n\r\n'
    pieces = [head.encode("utf-8" if utf8 else "ascii")]
    for subtype, content, parameters in parts:
        more = "".join(f'; {name}="{value}"' for name, value in parameters.items())
        lines = _with_crlf(content, is_html=subtype == "html")
        # A person may have typed the boundary; quoted-printable changes its "=".
        is_7bit = lines.isascii() and boundary not in content and _is_short(lines)
        opening = _PART.format(
            boundary=boundary,
            subtype=subtype,
            parameters=more,
            encoding="7bit" if is_7bit else "quoted-printable",
        )
        # Not 8bit, which a server need not offer.
        body = lines if is_7bit else b2a_qp(lines, istext=True)
        pieces += (opening.encode("ascii"), body, b"\r\n")
    pieces.append(f"--{boundary}--\r\n".encode("ascii"))
    return b"".join(pieces)


def _with_crlf(text: str, *, is_html: bool) -> bytes:
    encoded = text.encode("ascii", "xmlcharrefreplace") if is_html else text.encode("utf-8")
    return b"\r\n".join(encoded.splitlines()) + b"\r\n"


def _is_short(lines: bytes) -> bool:
    return max(map(len, lines.split(b"\r\n"))) <= _MAX_LINE


def _field(name: str, value: str | Address, *, utf8: bool) -> str:
    shown = str(value)
    if shown.isascii() and len(name) + len(": ") + len(shown) <= _MAX_FIELD:
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
