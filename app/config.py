"""Settings: every variable, its default and its checks; nothing else reads the environment."""

import os
import shlex
import sys
from datetime import timedelta
from decimal import Decimal
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from dotenv import dotenv_values
from limits.errors import ConfigurationError
from limits.storage import storage_from_string
from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import NoDecode, SettingsConfigDict

from app import api_keys, config_checks, listening, urls
from app.config_checks import DEVELOPMENT_NOTES_KEY, DEVELOPMENT_SECRET
from app.errors import ConfigError
from app.mail_settings import IpAddress, MailSettings, keeping
from app.rules.policy import Policy
from emails.addresses import email_key, mailbox, reply_address, typed_address
from emails.formatting import CURRENCIES
from emails.kinds import Payment
from emails.safety import check_line

OPS_EMAIL = "ops@mindsum.invalid"
CRISIS_NOTE = (
    "In danger now? Call 999. To talk to someone at any hour, call Samaritans on 116 123, free."
)
Listed = Annotated[tuple[str, ...], NoDecode]


def _number(default: Decimal | int, what: str, **bounds: Any) -> Any:
    return Field(default, description=what, allow_inf_nan=False, **bounds)


def _hours(default: int, what: str = "a number of hours above 0") -> Any:
    return _number(Decimal(default), what, gt=0, le=24 * 365)


def _count(default: int, what: str = "a whole number from 1", **bounds: Any) -> Any:
    return Field(default, description=what, **{"ge": 1, "le": 1000, **bounds})


def _months() -> Any:
    return Field(None, description="a whole number of months from 1 to 1200", ge=1, le=1200)


class Settings(MailSettings):
    # A field is the variable of that name in upper case. Its description ends the line that refuses
    # a value: "PORT should be a port from 1 to 65535, not '80.5'".
    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")

    database_url: Annotated[str, AfterValidator(urls.database_url)] = Field(
        "sqlite:///var/mindsum.db", description="sqlite:///FILE or postgresql://USER@HOST/NAME"
    )
    # Signs links and sessions.
    secret_key: str = Field(DEVELOPMENT_SECRET, description="a long random text")
    # Still verify, newest first.
    secret_key_fallbacks: Listed = Field((), description="older keys, comma separated")
    # Encrypts notes, messages and reasons: the first key writes, all of them read.
    notes_key: Listed = Field(
        (DEVELOPMENT_NOTES_KEY,), description="Fernet keys, comma separated, newest first"
    )
    # Encrypts backups: the first key writes, all of them restore. None: backups are not encrypted.
    backup_key: Listed = Field((), description="Fernet keys, comma separated, newest first")
    # Remembers erasures for the day on which an older backup is restored; see `erasure_log_path`.
    erasure_log: Path | None = Field(None, description="a file")
    # Every link starts with it; https means production.
    public_url: Annotated[str, AfterValidator(urls.site_address)] = Field(
        "http://127.0.0.1:8000", description="the site's address, such as https://example.org"
    )
    # Receives escalations.
    ops_email: Annotated[str, keeping(partial(mailbox, "recipient"))] = Field(
        OPS_EMAIL, description="one email address"
    )
    # Personal addresses that may sign in to the ops desk; without any it is not there.
    ops_sign_in: Listed = Field(
        (), description="different email addresses of persons, comma separated"
    )
    # Where replies to our emails go, and where people write to: OPS_EMAIL unless it is set.
    support_email: str = Field(
        default_factory=lambda fields: fields.get("ops_email", OPS_EMAIL),
        validate_default=True,
        description="one email address, ASCII before its @",
    )
    # At the end of every page, and of every email to a client: where to turn in a crisis.
    crisis_note: Annotated[str, AfterValidator(partial(check_line, "crisis_note"))] = Field(
        CRISIS_NOTE, description="one line of 10 to 200 characters"
    )
    # Without a key the API refuses every request.
    api_keys: Listed = Field(
        (),
        description=(
            "KEY, NAME:read:KEY or NAME:write:KEY, comma separated: different keys of printable"
            " ASCII characters, with = at the end only"
        ),
    )
    # What /metrics and /readyz ask for as `Authorization: Bearer KEY`. None: they answer everybody.
    monitoring_key: str | None = Field(
        None, description="a text of printable ASCII characters, with = at the end only"
    )
    # None: loopback where PUBLIC_URL is http, else all addresses.
    bind: IpAddress | None = Field(
        None, description="an IP address to listen on, such as 127.0.0.1, 0.0.0.0 or ::"
    )
    port: int = Field(8000, ge=1, le=65535, description="a port from 1 to 65535")
    # How many proxies in front append to X-Forwarded-For; only what they append is believed.
    trusted_proxies: int = Field(0, ge=0, le=10, description="a whole number from 0 to 10")
    web_concurrency: int = Field(2, ge=1, le=64, description="a whole number from 1 to 64")
    log_format: Literal["text", "json"] = Field("text", description="text or json")
    ratelimit_enabled: bool = Field(True, description="true or false")
    # Where requests are counted; memory:// counts in each worker alone.
    ratelimit_storage_uri: Annotated[str, AfterValidator(urls.with_lower_case_scheme)] = Field(
        "memory://",
        description="a storage address such as memory:// or redis://HOST",
    )
    # Requests typed on the public form, in an hour, from an IPv4 address or an IPv6 /64.
    requests_per_network: int = _count(20)
    currency: str = Field("GBP", pattern=r"^[A-Z]{3}$", description="an ISO 4217 code such as GBP")
    # When clients pay; it decides what is said, not what is owed.
    payment: Payment = Field("later", description="later or at_booking")
    # Whether a visitor's address has to be confirmed from its mailbox: unless this browser has done
    # so before (new), always, or never, for a site whose visitors are signed in already.
    confirm_address: Literal["new", "always", "never"] = Field(
        "new", description="new, always or never"
    )
    # Whether a press on a link's page that could be a mail scanner's is asked about.
    press_guard: bool = Field(True, description="true or false")
    # Where PUBLIC_URL is https, CONFIRM_ADDRESS may be never only with this.
    visitors_are_signed_in: bool = Field(False, description="true or false")
    # For so long a request holds its time before its address is confirmed.
    unconfirmed_minutes: Decimal = _number(
        Decimal(30), "a number of minutes above 0, at most 1440", gt=0, le=1440
    )
    open_per_therapist: int = _count(20)  # Open enquiries from the public form, at once.
    # The first wait before an email is tried again; later waits double.
    outbox_retry_seconds: float = _number(30, "seconds above 0", gt=0, le=86400)
    # At most ten seconds, within which everything that falls due should be done.
    sweep_seconds: float = _number(3, "seconds above 0, at most 10", gt=0, le=10)
    # Holds the demo's clock and mailbox; without it there are no demo pages.
    demo_dir: Path | None = Field(None, description="the demo's folder; set by mindsum demo")

    # Rows of the access trail older than this are deleted.
    access_trail_days: Decimal = _number(Decimal(365), "days from 1 to 3650", ge=1, le=3650)

    # After so many months what was written in a booking goes; None: it stays.
    retention_months: int | None = _months()
    # The same for therapists' private notes, which law may ask them to keep for years.
    retention_private_notes_months: int | None = _months()

    # The rules' numbers; `policy` has them as the rules take them.
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

    @field_validator("*", mode="before")
    @classmethod
    def _strip(cls, value: object, info: ValidationInfo) -> object:
        # Every character of a secret counts: links in sent emails are signed with the whole key.
        if not isinstance(value, str) or info.field_name in {"secret_key", "mail_password"}:
            return value
        default = cls.model_fields[str(info.field_name)].get_default(
            call_default_factory=True, validated_data=info.data
        )
        return value.strip() or default

    @field_validator(
        "secret_key_fallbacks", "notes_key", "backup_key", "api_keys", "ops_sign_in", mode="before"
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("notes_key", "backup_key")
    @classmethod
    def _are_fernet_keys(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if not value and info.field_name == "notes_key":
            raise ValueError("empty")
        for key in value:
            Fernet(key)
        return value

    @field_validator("api_keys")
    @classmethod
    def _fit_a_header(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        api_keys.check(value)
        return value

    @field_validator("monitoring_key")
    @classmethod
    def _fits_a_header(cls, value: str | None) -> str | None:
        if value is not None:
            api_keys.check_secret(value)
        return value

    @field_validator("currency")
    @classmethod
    def _is_a_currency(cls, value: str) -> str:
        if value not in CURRENCIES:
            raise ValueError("unknown currency")
        return value

    @field_validator("erasure_log")
    @classmethod
    def _is_no_folder(cls, value: Path | None) -> Path | None:
        try:
            is_folder = value is not None and value.is_dir()
        except OSError as error:
            raise ValueError("cannot be looked at") from error
        if is_folder:
            raise ValueError("a folder")
        return value

    @field_validator("ops_sign_in")
    @classmethod
    def _can_sign_in(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len({email_key(typed_address("address", each)) for each in value}) < len(value):
            raise ValueError("one address twice")
        return value

    @field_validator("support_email")
    @classmethod
    def _is_address_for_replies(cls, value: str) -> str:
        return reply_address("support_email", value).addr_spec

    @field_validator("ratelimit_storage_uri")
    @classmethod
    def _is_a_storage(cls, value: str) -> str:
        try:
            storage_from_string(value)
        except (ConfigurationError, ImportError) as error:
            raise ValueError("unknown storage") from error
        return value

    @property
    def is_production(self) -> bool:
        return self.public_url.startswith("https://")

    @property
    def public_host(self) -> str:
        # Part of every Message-ID and calendar UID.
        return urlsplit(self.public_url).hostname or "localhost"

    @property
    def erasure_log_path(self) -> Path | None:
        """None where erasures are not remembered: PostgreSQL, without a setting."""
        file = self.database_url.removeprefix("sqlite:///")
        if self.erasure_log is None and file != self.database_url:
            return Path(f"{file}.erasures")
        return self.erasure_log

    @property
    def bind_address(self) -> str:
        if self.bind is not None:
            return self.bind
        return listening.all_addresses() if self.is_production else listening.LOOPBACK

    @property
    def command(self) -> str:
        """The command line as it can be typed where an email to ops is read."""
        if self.demo_dir is None:
            return "mindsum"
        # Another terminal knows neither the demo's database nor its clock.
        settings = {"DATABASE_URL": self.database_url, "DEMO_DIR": str(self.demo_dir)}
        typed = [f"{name}={value}" for name, value in settings.items()]
        return shlex.join(["env", *typed, str(Path(sys.executable).with_name("mindsum"))])

    @cached_property
    def policy(self) -> Policy:
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


def load() -> Settings:
    """From the environment, or else from `.env` in the working directory. Raises ConfigError."""
    settings, faults = read()
    if faults:
        raise faults[0]
    assert settings is not None
    return settings


def read() -> tuple[Settings | None, list[ConfigError]]:
    """The settings, if they can be read at all, and every fault in them."""
    try:
        in_file = _read_env_file()
    except (OSError, UnicodeDecodeError):
        return None, [ConfigError(".env", "should be a text file that can be read")]
    settings, faults = _read_each(in_file)
    unread = {fault.name for fault in faults}
    faults += config_checks.contradictions(settings, unread)
    if settings.is_production:
        faults += config_checks.unsafe_for_production(settings, unread)
    return settings, faults


def _read_each(values: dict[str, Any]) -> tuple[Settings, list[ConfigError]]:
    """The settings, with the default in place of each value that cannot be read, and the faults."""
    faults: list[ConfigError] = []
    while True:
        try:
            return Settings(**values), faults
        except ValidationError as error:
            # A default that follows another setting is known once that one is.
            known = [e for e in error.errors() if e["type"] != "default_factory_not_called"]
            found = [_fault(each) for each in known]
        faults += found
        values |= {
            name: field.get_default(call_default_factory=True, validated_data={})
            for name, field in Settings.model_fields.items()
            if name.upper() in {fault.name for fault in found}
        }


def _fault(error: ErrorDetails) -> ConfigError:
    field = str(error["loc"][0])
    name = field.upper()
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, urls.ShouldBe):
        return ConfigError(name, f"should be {cause}")
    value = config_checks.repeated(name, str(error["input"]))
    return ConfigError(name, f"should be {Settings.model_fields[field].description}{value}")


def _read_env_file() -> dict[str, Any]:
    # A variable that is set but empty still hides the file's value: it asks for the default.
    in_file = dotenv_values(".env", interpolate=False)
    names = {field.upper() for field in Settings.model_fields} - os.environ.keys()
    return {name.lower(): in_file[name] for name in names if in_file.get(name)}


_current: Settings | None = None


def use(settings: Settings) -> None:
    global _current  # noqa: PLW0603 - a process has one configuration
    _current = settings


def current() -> Settings:
    """The settings of this process, loaded on first use."""
    if _current is None:
        use(load())
    assert _current is not None
    return _current
