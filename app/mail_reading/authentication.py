"""What our own mail server says of a message's sender (RFC 8601)."""

import re

_RESULT = re.compile(r"^\s*(?P<method>[a-z0-9-]+)\s*=\s*(?P<result>[a-z]+)", re.IGNORECASE)
_PROPERTY = re.compile(r"\b(?P<name>[a-z]+\.[a-z-]+)\s*=\s*\"?(?P<value>[^\s\";]+)", re.IGNORECASE)
_COMMENT = re.compile(r"\([^()]*\)")
# Google signs for a Workspace domain that has no key of its own.
_GOOGLE = ".gappssmtp.com"


def results(fields: list[str], authserv: str) -> dict[str, list[tuple[str, dict[str, str]]]]:
    """For each method its results with their properties, from the newest field of `authserv`."""
    for value in fields:
        name, _, rest = _COMMENT.sub(" ", value).partition(";")
        if name.split()[:1] == [authserv] or name.strip().lower() == authserv:
            return _of_field(rest)
    return {}


def _of_field(rest: str) -> dict[str, list[tuple[str, dict[str, str]]]]:
    found: dict[str, list[tuple[str, dict[str, str]]]] = {}
    for part in rest.split(";")[:50]:
        if result := _RESULT.match(part):
            named = {each["name"].lower(): each["value"] for each in _PROPERTY.finditer(part)}
            known = found.setdefault(result["method"].lower(), [])
            known.append((result["result"].lower(), named))
    return found


def is_authentic(fields: list[str], authserv: str, sender_key: str) -> bool:
    """Whether a DKIM or SPF of the domain in `sender_key` has passed, or its DMARC."""
    domain = sender_key.rpartition("@")[2]
    if not domain:
        return False
    by_method = results(fields, authserv)
    signed = [
        of.get("header.d") or of.get("header.i", "").rpartition("@")[2]
        for result, of in by_method.get("dkim", [])
        if result == "pass"
    ]
    sent = [
        of.get("smtp.mailfrom", "").rpartition("@")[2]
        for result, of in by_method.get("spf", [])
        if result == "pass"
    ]
    checked = [
        of.get("header.from", "") for result, of in by_method.get("dmarc", []) if result == "pass"
    ]
    return any(_is_of(each.lower().strip("."), domain) for each in (*signed, *sent, *checked))


def _is_of(authenticated: str, domain: str) -> bool:
    if authenticated.endswith(_GOOGLE):
        return authenticated.partition(".")[0] == domain.replace(".", "-")
    is_parent = "." in authenticated and domain.endswith(f".{authenticated}")
    return authenticated == domain or is_parent
