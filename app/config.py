"""The process's settings, read from the environment; a bad value stops the start by name."""

import os
from typing import Any

from dotenv import dotenv_values
from pydantic import ValidationError

from app.errors import ConfigError
from app.settings import DEVELOPMENT_NOTES_KEY, DEVELOPMENT_SECRET, Settings

__all__ = ["Settings", "current", "load", "use"]

_SECRETS = {
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "NOTES_KEY",
    "MAIL_PASSWORD",
    "API_KEYS",
    "DATABASE_URL",
}


def _contradictions(settings: Settings) -> None:
    """Stop at the first pair of settings that cannot both hold."""
    s = settings
    below = (
        ("REMIND_ANSWER_AFTER_HOURS", s.remind_answer_after_hours, "ANSWER_WITHIN_HOURS",
         s.answer_within_hours),
        ("ANSWER_WITHIN_HOURS", s.answer_within_hours, "EXPIRE_AFTER_HOURS", s.expire_after_hours),
        ("WARN_STREAK", s.warn_streak, "FLAG_STREAK", s.flag_streak),
        ("FLAG_STREAK", s.flag_streak, "DEACTIVATE_STREAK", s.deactivate_streak),
    )  # fmt: skip
    for low_name, low, high_name, high in below:
        if not low < high:
            raise ConfigError(low_name, f"should be below {high_name} ({high}), not {low}")
    if s.answer_within_hours > s.min_notice_hours:
        raise ConfigError(
            "ANSWER_WITHIN_HOURS",
            f"should be at most MIN_NOTICE_HOURS ({s.min_notice_hours}), "
            f"not {s.answer_within_hours}",
        )
    if s.min_notice_hours >= s.max_ahead_days * 24:
        raise ConfigError("MIN_NOTICE_HOURS", "should be less than MAX_AHEAD_DAYS allows")
    if s.mail_use_tls and s.mail_use_ssl:
        raise ConfigError("MAIL_USE_TLS", "should be false where MAIL_USE_SSL is true")
    if s.is_production:
        _production(s)


def _production(s: Settings) -> None:
    """Stop at a secret that everybody can read."""
    if s.secret_key == DEVELOPMENT_SECRET or len(s.secret_key) < 16:
        raise ConfigError(
            "SECRET_KEY",
            "should be a random text of 16 characters or more where PUBLIC_URL is https",
        )
    if DEVELOPMENT_SECRET in s.secret_key_fallbacks:
        raise ConfigError(
            "SECRET_KEY_FALLBACKS", "should hold keys of your own where PUBLIC_URL is https"
        )
    if DEVELOPMENT_NOTES_KEY in s.notes_key:
        raise ConfigError("NOTES_KEY", "should be a key of your own where PUBLIC_URL is https")


def without_address(s: Settings) -> ConfigError | None:
    """What a service for real people starts without, and should not: an address of its own."""
    if s.is_production:
        for name, address, such_as in (
            ("OPS_EMAIL", s.ops_email, "ops@example.org"),
            ("MAIL_DEFAULT_SENDER", s.mail_default_sender, "Mindsum <bookings@example.org>"),
        ):
            if _is_nobodys(address):
                of_own = f"should be an address of your own, such as {such_as},"
                return ConfigError(name, f"{of_own} where PUBLIC_URL is https")
    return None


def _is_nobodys(address: str) -> bool:
    """Whether its domain is one that never exists, as those of the defaults are."""
    domain = address.rpartition("@")[2].rstrip(">").lower()
    return f".{domain}".endswith(".invalid")


def load() -> Settings:
    """Read and check the environment, and behind it a file `.env` where the process was started.

    Raises ConfigError, one line that names the setting and what it should be.
    """
    try:
        settings = Settings(**_from_file())
    except (OSError, UnicodeDecodeError):
        raise ConfigError(".env", "should be a text file that can be read") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0])
        name = field.upper()
        shown = "" if name in _SECRETS else f", not {str(first['input'])[:80]!r}"
        should_be = Settings.model_fields[field].description
        raise ConfigError(name, f"should be {should_be}{shown}") from None
    _contradictions(settings)
    return settings


def _from_file() -> dict[str, Any]:
    """What `.env` says of settings that the environment does not name, not even as empty."""
    said = dotenv_values(".env", interpolate=False)
    names = {field.upper() for field in Settings.model_fields} - os.environ.keys()
    return {name.lower(): said[name] for name in names if said.get(name)}


_current: Settings | None = None


def use(settings: Settings) -> None:
    """Make `settings` this process's own; create_app calls it once."""
    global _current  # noqa: PLW0603 - a process has one configuration
    _current = settings


def current() -> Settings:
    """This process's settings, read from the environment if nobody gave any."""
    if _current is None:
        use(load())
    assert _current is not None
    return _current
