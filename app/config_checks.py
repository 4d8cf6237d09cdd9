"""What settings must be together: free of contradictions, and safe where PUBLIC_URL is https."""

from base64 import urlsafe_b64encode
from collections.abc import Iterator
from hashlib import sha256
from ipaddress import ip_address
from typing import TYPE_CHECKING

from app import api_keys
from app.errors import ConfigError
from emails.addresses import email_key

if TYPE_CHECKING:
    from app.config import Settings

DEVELOPMENT_SECRET = "development-only"  # noqa: S105 - refused where PUBLIC_URL is https
DEVELOPMENT_NOTES_KEY = urlsafe_b64encode(sha256(b"development-only").digest()).decode()
_SHORTEST_SECRET, _FEWEST_CHARACTERS = 16, 8
# Defaults of ours, and keys that manuals of Flask and of Fernet show.
_KNOWN_SECRETS = {
    DEVELOPMENT_SECRET,
    DEVELOPMENT_NOTES_KEY,
    "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    "hard to guess string",
    "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=",
}
_WHERE = "where PUBLIC_URL is https"

# Beside the keys.
_SECRETS = {"SECRET_KEY_FALLBACKS", "MAIL_PASSWORD", "DATABASE_URL"}


def contradictions(s: "Settings", unread: set[str]) -> Iterator[ConfigError]:
    """Without what concerns the settings `unread`, whose values could not be read."""
    for low, high in (
        ("REMIND_ANSWER_AFTER_HOURS", "ANSWER_WITHIN_HOURS"),
        ("ANSWER_WITHIN_HOURS", "EXPIRE_AFTER_HOURS"),
        ("WARN_STREAK", "FLAG_STREAK"),
        ("FLAG_STREAK", "DEACTIVATE_STREAK"),
    ):
        least, most = getattr(s, low.lower()), getattr(s, high.lower())
        if not {low, high} & unread and not least < most:
            yield ConfigError(low, f"should be below {high} ({most}), not {least}")
    if (
        not {"ANSWER_WITHIN_HOURS", "MIN_NOTICE_HOURS"} & unread
        and s.answer_within_hours > s.min_notice_hours
    ):
        yield ConfigError(
            "ANSWER_WITHIN_HOURS",
            f"should be at most MIN_NOTICE_HOURS ({s.min_notice_hours}), "
            f"not {s.answer_within_hours}",
        )
    if (
        not {"MIN_NOTICE_HOURS", "MAX_AHEAD_DAYS"} & unread
        and s.min_notice_hours >= s.max_ahead_days * 24
    ):
        yield ConfigError("MIN_NOTICE_HOURS", "should be less than MAX_AHEAD_DAYS allows")
    if s.mail_use_tls and s.mail_use_ssl:
        yield ConfigError("MAIL_USE_TLS", "should be false where MAIL_USE_SSL is true")
    for name, needed in (
        ("DKIM_KEY", "DKIM_SELECTOR"),
        ("DKIM_SELECTOR", "DKIM_KEY"),
        ("INBOUND_REQUIRE_AUTH", "INBOUND_AUTHSERV"),
        ("MAIL_PASSWORD", "MAIL_USERNAME"),
    ):
        is_set, is_there = getattr(s, name.lower()), getattr(s, needed.lower())
        if is_set and not is_there and not {name, needed} & unread:
            yield ConfigError(needed, f"should be set where {name} is")
    yield from _behind_the_mail_door(s, unread)


def _behind_the_mail_door(s: "Settings", unread: set[str]) -> Iterator[ConfigError]:
    """Our people's addresses at INBOUND_DOMAIN: the mail door refuses what comes to them."""
    ours = [("OPS_EMAIL", s.ops_email), *(("OPS_SIGN_IN", each) for each in s.ops_sign_in)]
    if email_key(s.support_email) != email_key(s.ops_email):
        ours.append(("SUPPORT_EMAIL", s.support_email))
    for name, address in ours:
        is_behind = email_key(address).rpartition("@")[2] == s.inbound_domain
        if is_behind and not {name, "INBOUND_DOMAIN"} & unread:
            yield ConfigError(name, "should be an address whose domain is not INBOUND_DOMAIN")


def unsafe_for_production(s: "Settings", unread: set[str]) -> Iterator[ConfigError]:
    """What must not be so where PUBLIC_URL is https."""
    for name, secrets in (
        ("SECRET_KEY", [s.secret_key]),
        ("SECRET_KEY_FALLBACKS", s.secret_key_fallbacks),
        ("NOTES_KEY", s.notes_key),
        ("BACKUP_KEY", s.backup_key),
        ("MONITORING_KEY", [s.monitoring_key] if s.monitoring_key else []),
        ("API_KEYS", [api_keys.parse(entry).secret for entry in s.api_keys]),
    ):
        # A value that could not be read has left the default in its place.
        if name not in unread and any(map(is_guessable, secrets)):
            yield ConfigError(
                name,
                f"should be random, of {_SHORTEST_SECRET} characters or more and of"
                f" {_FEWEST_CHARACTERS} different ones, and no known default, {_WHERE}",
            )
    if s.demo_dir is not None:
        yield ConfigError("DEMO_DIR", f"should not be set {_WHERE}")
    if not s.ratelimit_enabled:
        yield ConfigError("RATELIMIT_ENABLED", f"should be true {_WHERE}")
    if (
        s.confirm_address == "never"
        and not s.visitors_are_signed_in
        and not {"CONFIRM_ADDRESS", "VISITORS_ARE_SIGNED_IN"} & unread
    ):
        yield ConfigError(
            "CONFIRM_ADDRESS",
            f"should be new or always {_WHERE}; VISITORS_ARE_SIGNED_IN=true allows never",
        )
    is_plain = not (s.mail_use_tls or s.mail_use_ssl or s.mail_plaintext_ok)
    is_known = not {"MAIL_SERVER", "MAIL_USE_TLS", "MAIL_USE_SSL", "MAIL_PLAINTEXT_OK"} & unread
    if is_plain and is_known and not is_this_machine(s.mail_server):
        yield ConfigError(
            "MAIL_USE_TLS",
            f"(or MAIL_USE_SSL) should be true {_WHERE} and MAIL_SERVER is another machine;"
            " MAIL_PLAINTEXT_OK=true allows plaintext",
        )


def is_guessable(secret: str) -> bool:
    text = secret.strip()
    is_short = len(text) < _SHORTEST_SECRET or len(set(text)) < _FEWEST_CHARACTERS
    return is_short or text in _KNOWN_SECRETS


def is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def missing_address(s: "Settings") -> Iterator[ConfigError]:
    """Addresses that production still leaves at a default that cannot receive mail."""
    for name, address, example in (
        ("OPS_EMAIL", s.ops_email, "ops@example.org"),
        ("SUPPORT_EMAIL", s.support_email, "help@example.org"),
        ("MAIL_DEFAULT_SENDER", s.mail_default_sender, "Mindsum <bookings@example.org>"),
    ):
        domain = address.rpartition("@")[2].rstrip(">").lower()
        if name == "SUPPORT_EMAIL" and address.lower() == s.ops_email.lower():
            # Its default: one fault is enough.
            continue
        # RFC 2606 reserves .invalid: no such domain ever exists.
        if s.is_production and f".{domain}".endswith(".invalid"):
            yield ConfigError(
                name, f"should be an address of your own, such as {example}, {_WHERE}"
            )


def repeated(name: str, given: str) -> str:
    """What an error line repeats of a value: nothing of what may be secret."""
    # An address may hold a password before its @.
    has_login = name.endswith(("_URL", "_URI")) and "@" in given
    is_secret = name in _SECRETS or name.endswith(("_KEY", "_KEYS")) or has_login
    return "" if is_secret else f", not {given[:80]!r}"
