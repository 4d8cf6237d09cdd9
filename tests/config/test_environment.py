"""How settings are read: variables, the file .env, and each process at its start."""

import os
import re
import shlex
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from app import config
from tests.harness.environment import config_error, loaded
from tests.harness.processes import ROOT
from tests.harness.waiting import PATIENCE_S


def test_blanks_around_a_value_are_left_out_except_in_a_secret(
    environment: pytest.MonkeyPatch,
) -> None:
    settings = loaded(environment, PORT=" 80 ", RATELIMIT_ENABLED="false ", DEMO_DIR=" ")
    assert (settings.port, settings.ratelimit_enabled, settings.demo_dir) == (80, False, None)
    # Sent links are signed with every character of the key.
    assert loaded(environment, SECRET_KEY=" key ").secret_key == " key "


def test_the_scheme_of_a_storage_may_be_in_capitals(environment: pytest.MonkeyPatch) -> None:
    settings = loaded(environment, RATELIMIT_STORAGE_URI="MEMORY://")
    assert settings.ratelimit_storage_uri == "memory://"


def test_hours_and_percentages_may_be_decimals(environment: pytest.MonkeyPatch) -> None:
    policy = loaded(environment, ANSWER_WITHIN_HOURS="2.5", COMMISSION_PERCENT="12.5").policy
    assert policy.answer_within == timedelta(hours=2, minutes=30)
    assert policy.commission_percent == Decimal("12.5")


def test_lists_are_split_at_commas(environment: pytest.MonkeyPatch) -> None:
    settings = loaded(environment, SECRET_KEY_FALLBACKS="newer, older,", API_KEYS="a,b")
    assert settings.secret_key_fallbacks == ("newer", "older")
    assert settings.api_keys == ("a", "b")


def test_an_empty_variable_means_the_default(environment: pytest.MonkeyPatch) -> None:
    assert loaded(environment, PORT="", CURRENCY="").port == 8000


def test_the_environment_overrides_the_env_file(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("PORT=9000\nCURRENCY=EUR\nANOTHER_PROGRAM=1\n")
    environment.chdir(tmp_path)
    settings = loaded(environment, PORT="9100")
    assert (settings.port, settings.currency) == (9100, "EUR")
    assert loaded(environment, CURRENCY="").currency == "GBP"
    (tmp_path / ".env").write_text("MAIL_TIMEOUT=ninety")
    assert config_error(environment).name == "MAIL_TIMEOUT"


def test_values_in_the_env_file_are_taken_literally(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(
        "MAIL_USERNAME=b\nMAIL_PASSWORD=ab#cd${HOME}\n"
        "MAIL_DEFAULT_SENDER=Mindsum Bookings <b@example.org>\n"
        "API_KEYS=a,b\nOPS_EMAIL=\n"
    )
    environment.chdir(tmp_path)
    settings = loaded(environment)
    assert settings.mail_password == "ab#cd${HOME}"
    assert settings.mail_default_sender == "Mindsum Bookings <b@example.org>"
    assert (settings.api_keys, settings.ops_email) == (("a", "b"), "ops@mindsum.invalid")


def test_an_env_file_that_is_not_text_stops_the_start(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_bytes(b"PORT=\xff\xfe")
    environment.chdir(tmp_path)
    assert config_error(environment).name == ".env"


@pytest.mark.process
@pytest.mark.parametrize(
    ("process", "arguments"),
    [
        ("web", ["-m", "app.serve"]),
        ("scheduler", ["scheduler.py"]),
        ("scheduler", ["scheduler.py", "--once"]),
        ("mindsum", ["-c", "from app.cli import main; main()", "booking", "list"]),
        ("mindsum", ["-c", "from app.cli import main; main()", "db", "upgrade"]),
    ],
)
def test_every_process_prints_one_line_for_a_bad_setting_and_exits_with_2(
    process: str, arguments: list[str]
) -> None:
    ran = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "COMMISSION_PERCENT": "ten"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert ran.returncode == 2
    assert re.fullmatch(rf"{process}: COMMISSION_PERCENT should be [^\n]+ not 'ten'\n", ran.stderr)
    assert ran.stdout == ""


def test_commands_in_emails_work_where_they_are_read(environment: pytest.MonkeyPatch) -> None:
    assert config.load().command == "mindsum"
    shown = loaded(environment, DEMO_DIR="/tmp/a demo", DATABASE_URL="sqlite:////tmp/a demo/m.db")
    env, url, folder, program = shlex.split(shown.command)
    assert (env, url) == ("env", "DATABASE_URL=sqlite:////tmp/a demo/m.db")
    assert folder == "DEMO_DIR=/tmp/a demo"
    assert Path(program).name == "mindsum" and Path(program).is_file()
