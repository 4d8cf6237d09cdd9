"""The grammar of PUBLIC_URL, MAIL_SERVER and DATABASE_URL: what their users can use."""

import re
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from emails.addresses import ascii_domain

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


class ShouldBe(ValueError):
    """Ends the line "NAME should be ..." and says nothing of the value, which may be secret."""


def site_address(value: str) -> str:
    """Scheme, host and port, in lower case and with an international host as its A-label.

    Raises ValueError.
    """
    # urlsplit drops tabs and line ends.
    if _UNPRINTABLE.search(value):
        raise ValueError("control characters")
    parts = urlsplit(value)
    # `parts.port` raises ValueError for a bad port.
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
        raise ValueError("not a web address")
    for part, is_there in (
        ("a user or password", "@" in parts.netloc),
        ("a path", bool(parts.path.strip("/"))),
        ("a query", "?" in value),
        ("a fragment", "#" in value),
        # Message-IDs are made of the host.
        ("an IPv6 address, but with a host name", "[" in parts.netloc),
    ):
        if is_there:
            raise ShouldBe(f"the site's address, such as https://example.org, without {part}")
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme}://{ascii_domain('host', parts.hostname)}{port}"


def host(value: str) -> str:
    """An IP address, or a host name in lower case and as its A-label. Raises ValueError."""
    with suppress(ValueError):
        return str(ip_address(value))
    if "://" in value or ":" in value:
        raise ShouldBe("a host name or an IP address, without a scheme or a port")
    return ascii_domain("host", value)


def database_url(value: str) -> str:
    """With its scheme in lower case. Raises ValueError for what no driver can ever use."""
    scheme, separator, rest = value.partition("://")
    url = f"{scheme.lower()}{separator}{rest}"
    if _UNPRINTABLE.search(url):
        raise ValueError("control characters")
    if url.startswith("sqlite:///"):
        _check_file(url.removeprefix("sqlite:///"))
    elif url.startswith(("postgresql://", "postgres://")):
        _check_server(url)
    else:
        raise ValueError("unknown scheme")
    return url


def _check_file(name: str) -> None:
    # A blank at either end would begin a new, empty database.
    if not name or name != name.strip():
        raise ValueError("no file name")
    # SQLite's own names, which we would take for files.
    if name.startswith((":", "file:", "~")) or "?" in name or "#" in name:
        raise ShouldBe("sqlite:///FILE with the path of a file, without options, : or ~")
    if name.endswith("/") or Path(name).is_dir():
        raise ShouldBe("sqlite:///FILE with the path of a file, not of a folder")


def _check_server(url: str) -> None:
    login, _, name = url.partition("://")[2].partition("?")[0].partition("/")
    # The driver would take the rest of the password for a host, and print it in its errors.
    if login.count("@") > 1 or "@" in name:
        raise ShouldBe("postgresql://USER:PASSWORD@HOST/NAME with @ written as %40, / as %2F")
    try:
        parameters = conninfo_to_dict(url)
    except ProgrammingError:
        # The driver's words may hold a part of the password.
        raise ShouldBe(
            "postgresql://USER:PASSWORD@HOST/NAME with % written as %25 and only options that"
            " PostgreSQL's driver knows"
        ) from None
    ports = str(parameters.get("port") or "5432").split(",")
    if not all(port.isdecimal() and 0 < int(port) < 65536 for port in ports if port):
        raise ShouldBe("postgresql://USER@HOST:PORT/NAME with a port from 1 to 65535")
