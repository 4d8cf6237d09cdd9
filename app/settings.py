"""Settings: every variable, its default, what it should be, and how a single one is checked."""

from base64 import urlsafe_b64encode
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from limits.errors import ConfigurationError
from limits.storage import storage_from_string
from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.rules.money import CURRENCIES
from app.rules.policy import Policy
from emails.safety import mailbox, sender_mailbox

DEVELOPMENT_SECRET = "development-only"  # noqa: S105 - refused where PUBLIC_URL is https
DEVELOPMENT_NOTES_KEY = urlsafe_b64encode(sha256(b"development-only").digest()).decode()

_LONGEST_ADDRESS = 254
_ADDRESS = r'[^\s@<>(),:;\\"\[\]]+@[^\s@<>(),:;\\"\[\]]+'

Listed = Annotated[tuple[str, ...], NoDecode]


def _number(default: Decimal | int, what: str, **bounds: Any) -> Any:
    return Field(default, description=what, allow_inf_nan=False, **bounds)


def _hours(default: int, what: str = "a number of hours above 0") -> Any:
    return _number(Decimal(default), what, gt=0, le=24 * 365)


def _count(default: int, what: str = "a whole number from 1", **bounds: Any) -> Any:
    return Field(default, description=what, **{"ge": 1, "le": 1000, **bounds})


class Settings(BaseSettings):
    """Everything the environment may say; field names are the variables in lower case."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")

    database_url: str = Field(
        "sqlite:///var/mindsum.db", description="sqlite:///FILE or postgresql://USER@HOST/NAME"
    )
    secret_key: str = Field(DEVELOPMENT_SECRET, description="a long random text")
    secret_key_fallbacks: Listed = Field((), description="older keys, comma separated")
    notes_key: Listed = Field(
        (DEVELOPMENT_NOTES_KEY,), description="Fernet keys, comma separated, newest first"
    )
    public_url: str = Field(
        "http://127.0.0.1:8000", description="the site's address, such as https://example.org"
    )
    mail_server: str = Field("127.0.0.1", description="a host name", min_length=1)
    mail_port: int = Field(1025, ge=1, le=65535, description="a port from 1 to 65535")
    mail_use_tls: bool = Field(False, description="true or false")
    mail_use_ssl: bool = Field(False, description="true or false")
    mail_username: str | None = Field(None, description="a text")
    mail_password: str | None = Field(None, description="a text")
    mail_default_sender: str = Field(
        "Mindsum Bookings <bookings@mindsum.invalid>",
        pattern=rf"^({_ADDRESS}|[^<>]*<{_ADDRESS}>)$",
        description="an address, such as Mindsum <bookings@example.org>",
    )
    mail_timeout: float = Field(
        10, gt=0, le=300, allow_inf_nan=False, description="seconds above 0, at most 300"
    )
    ops_email: str = Field(
        "ops@mindsum.invalid", pattern=rf"^{_ADDRESS}$", description="one email address"
    )
    api_keys: Listed = Field((), description="keys, comma separated")
    port: int = Field(8000, ge=1, le=65535, description="a port from 1 to 65535")
    web_concurrency: int = Field(2, ge=1, le=64, description="a whole number from 1 to 64")
    log_format: Literal["text", "json"] = Field("text", description="text or json")
    ratelimit_enabled: bool = Field(True, description="true or false")
    ratelimit_storage_uri: str = Field(
        "memory://",
        pattern=r"^[a-z+]+://",
        description="a storage address such as memory:// or redis://HOST",
    )
    currency: str = Field("GBP", pattern=r"^[A-Z]{3}$", description="an ISO 4217 code such as GBP")
    outbox_retry_seconds: float = Field(
        30, gt=0, le=86400, allow_inf_nan=False, description="seconds above 0"
    )
    demo_dir: Path | None = Field(None, description="the demo's folder; set by mindsum demo")

    answer_within_hours: Decimal = _hours(3)
    remind_answer_after_hours: Decimal = _hours(2)
    expire_after_hours: Decimal = _hours(24)
    free_cancellation_hours: Decimal = _number(
        Decimal(24), "a number of hours from 0", ge=0, le=24 * 365
    )
    commission_percent: Decimal = _number(Decimal(10), "a percentage from 0 to 100", ge=0, le=100)
    warn_streak: int = _count(3)
    flag_streak: int = _count(4)
    deactivate_streak: int = _count(5)
    min_notice_hours: Decimal = _hours(4)
    max_ahead_days: Decimal = _number(Decimal(60), "a number of days above 0", gt=0, le=730)
    slot_minutes: int = _count(30, "whole minutes from 1 to 1440", le=1440)
    session_minutes: int = _count(50, "whole minutes from 1 to 1440", le=1440)
    consultation_minutes: int = _count(30, "whole minutes from 1 to 1440", le=1440)
    ranking_days: Decimal = _number(Decimal(90), "a number of days above 0", gt=0, le=3650)
    no_show_within_days: Decimal = _number(Decimal(7), "a number of days from 0", ge=0, le=365)

    @field_validator("secret_key_fallbacks", "notes_key", "api_keys", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("notes_key")
    @classmethod
    def _are_fernet_keys(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("empty")
        for key in value:
            Fernet(key)
        return value

    @field_validator("database_url")
    @classmethod
    def _is_known_database(cls, value: str) -> str:
        if value.startswith("sqlite:///") and len(value) > len("sqlite:///"):
            return value
        if value.startswith(("postgresql://", "postgres://")):
            return value
        raise ValueError("unknown scheme")

    @field_validator("currency")
    @classmethod
    def _is_a_currency(cls, value: str) -> str:
        if value not in CURRENCIES:
            raise ValueError("unknown currency")
        return value

    @field_validator("mail_default_sender")
    @classmethod
    def _can_send(cls, value: str) -> str:
        address = sender_mailbox("sender", value)
        # What stands before the address may make another one of it, which nobody meant.
        is_meant = value.rpartition("<")[2].startswith(f"{address.username}@")
        if not is_meant or len(address.addr_spec) > _LONGEST_ADDRESS:
            raise ValueError("not a sender")
        return value

    @field_validator("ops_email")
    @classmethod
    def _can_be_sent_to(cls, value: str) -> str:
        if len(mailbox("recipient", value).addr_spec) > _LONGEST_ADDRESS:
            raise ValueError("too long")
        return value

    @field_validator("ratelimit_storage_uri")
    @classmethod
    def _is_a_storage(cls, value: str) -> str:
        try:
            storage_from_string(value)
        except (ConfigurationError, ImportError) as error:
            raise ValueError("unknown storage") from error
        return value

    @field_validator("public_url")
    @classmethod
    def _is_web_address(cls, value: str) -> str:
        parts = urlsplit(value)
        # Reading the port is what checks it.
        if (
            parts.port == 0
            or parts.scheme not in {"http", "https"}
            or not parts.hostname
            or parts.query
        ):
            raise ValueError("not a web address")
        return value.rstrip("/")

    @property
    def is_production(self) -> bool:
        """Whether people reach this site over https."""
        return self.public_url.startswith("https://")

    @property
    def public_host(self) -> str:
        """The host name in PUBLIC_URL; Message-IDs and calendar entries carry it."""
        return urlsplit(self.public_url).hostname or "localhost"

    @cached_property
    def policy(self) -> Policy:
        """The rules' numbers as the rules take them."""
        return Policy(
            answer_within=_span(self.answer_within_hours),
            remind_answer_after=_span(self.remind_answer_after_hours),
            expire_after=_span(self.expire_after_hours),
            free_cancellation=_span(self.free_cancellation_hours),
            commission_percent=self.commission_percent,
            warn_streak=self.warn_streak,
            flag_streak=self.flag_streak,
            deactivate_streak=self.deactivate_streak,
            min_notice=_span(self.min_notice_hours),
            max_ahead=_span(self.max_ahead_days * 24),
            slot_minutes=self.slot_minutes,
            session_minutes=self.session_minutes,
            consultation_minutes=self.consultation_minutes,
            ranking_window=_span(self.ranking_days * 24),
            no_show_within=_span(self.no_show_within_days * 24),
        )


def _span(hours: Decimal) -> timedelta:
    return timedelta(seconds=float(hours * 3600))
