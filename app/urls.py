"""The grammar of PUBLIC_URL, MAIL_SERVER and DATABASE_URL: what their users can use."""

import re
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from emails.addresses import ascii_domain

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")
# A browser reads a host that ends so as an IPv4 address.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
# The folder of no server's socket.
_NO_SERVER = "/mindsum.invalid"
# The driver reads them only once it has reached the server.
_READ_LATE = {
    "connect_timeout": r"-?\d+",
    "keepalives": r"-?\d+",
    "keepalives_idle": r"-?\d+",
    "keepalives_interval": r"-?\d+",
    "keepalives_count": r"-?\d+",
    "tcp_user_timeout": r"-?\d+",
    # Names and notes are in any script.
    "client_encoding": r"(?i)utf-?8|unicode|auto",
    "replication": r"(?i)|false|off|no|0",
}


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
    return f"{parts.scheme}://{host_name(parts.hostname)}{port}"


def with_lower_case_scheme(value: str) -> str:
    """Raises ValueError where there is none."""
    scheme, separator, rest = value.partition("://")
    if not separator:
        raise ValueError("no scheme")
    return f"{scheme.lower()}{separator}{rest}"


def host(value: str) -> str:
    """An IP address, or a host name in lower case and as its A-label. Raises ValueError."""
    with suppress(ValueError):
        return str(ip_address(value))
    if "://" in value or ":" in value:
        raise ShouldBe("a host name or an IP address, without a scheme or a port")
    return host_name(value)


def host_name(value: str) -> str:
    name = ascii_domain("host", value)
    *_, last = labels = name.split(".")
    if any(label.endswith("-") for label in labels):
        raise ShouldBe("a host name whose labels end with a letter or digit")
    if _NUMBER.fullmatch(last) and not is_ip_address(name):
        raise ShouldBe("a host name that does not end with a number, or a whole IP address")
    return name


def is_ip_address(value: str) -> bool:
    try:
        return bool(ip_address(value))
    except ValueError:
        return False


def database_url(value: str) -> str:
    """With its scheme in lower case. Raises ValueError for what no driver can ever use."""
    url = with_lower_case_scheme(value)
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
    # Imported on demand, as in app/store/db.
    from psycopg import ProgrammingError  # noqa: PLC0415
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    # The driver would take the rest of the password for a host, and print it in its errors.
    if login.count("@") > 1 or "@" in name:
        raise ShouldBe("postgresql://USER:PASSWORD@HOST/NAME with @ written as %40, / as %2F")
    try:
        parameters = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except ProgrammingError:
        # The driver's words may hold a part of the password.
        raise ShouldBe(
            "postgresql://USER:PASSWORD@HOST/NAME with % written as %25 and only options that"
            " PostgreSQL's driver knows"
        ) from None
    ports = parameters.get("port", "5432").split(",")
    if not all(port.isdecimal() and 0 < int(port) < 65536 for port in ports if port):
        raise ShouldBe("postgresql://USER@HOST:PORT/NAME with a port from 1 to 65535")
    if bad := _bad_option(parameters):
        raise ShouldBe(f"postgresql://USER@HOST/NAME with another {bad}")


def _bad_option(parameters: dict[str, str]) -> str | None:
    """The name of an option whose value the driver refuses, alone or beside the others."""
    hosts = parameters.get("host", "").split(",")
    addresses = parameters.get("hostaddr", "").split(",")
    if not all(map(is_ip_address, filter(None, addresses))):
        return "hostaddr"
    if not all(map(_is_server, filter(None, hosts))):
        return "host"
    if "hostaddr" in parameters and "host" in parameters and len(hosts) != len(addresses):
        return "hostaddr"
    for name, value in parameters.items():
        if not re.fullmatch(_READ_LATE.get(name, "(?s).*"), value):
            return name
    count = max(len(hosts), len(addresses))
    options = {name: value for name, value in parameters.items() if name != "hostaddr"}
    options["host"] = ",".join([_NO_SERVER] * count)
    if _are_accepted(options):
        return None
    return next(
        (
            name
            for name in options
            if name != "host"
            and _are_accepted({other: options[other] for other in options if other != name})
        ),
        "option",
    )


def _is_server(value: str) -> bool:
    # A socket's folder or abstract name, or a host name that may end with a dot.
    if value.startswith(("/", "@")):
        return True
    try:
        return bool(host(value.removesuffix(".")))
    except ValueError:
        return False


def _are_accepted(options: dict[str, str]) -> bool:
    """Whether the driver tries to reach a server with `options`."""
    from psycopg import pq  # noqa: PLC0415
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415

    connection = pq.PGconn.connect_start(make_conninfo("", **options).encode())
    try:
        has_failed = connection.status == pq.ConnStatus.BAD
        return not has_failed or _NO_SERVER.encode() in connection.error_message
    finally:
        connection.finish()
