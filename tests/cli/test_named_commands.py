"""Every command that an email, a log line, a page or a guide names exists as it is named."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from app import cli, config
from app.services.ops import health
from app.store import outbox
from tests.harness.every import for_every
from tests.harness.processes import ROOT
from tests.scenarios.story import Story

# `mindsum` or the setting that stands for it, and what follows on the line or in the quotes.
_NAMED = re.compile(r"(?:(?<=`)mindsum(?! unix)|^mindsum|command(?:\(\))? ?\}+) ([a-z][^`<\n\"']*)")
_WORD = re.compile(r"[a-z][a-z-]*")
SOURCES = sorted(
    path
    for folder, pattern in (
        ("app", "*.py"), ("app", "*.html"), ("emails/templates", "*.*"),
        ("docs", "*.md"), (".", "README.md"), ("deploy", "*"),
    )
    for path in (ROOT / folder).rglob(pattern)
    if path.is_file() and ".venv" not in path.parts
)  # fmt: skip


def named_in(text: str) -> Iterator[str]:
    for line in text.splitlines():
        # In a list of commands, what each does follows after a gap; in a template, a condition.
        yield from (re.split(r" {3,}|\{%", found)[0] for found in _NAMED.findall(line))


def why_wrong(named: str) -> str:
    """Empty if a command with these words and options exists."""
    words, command = named.replace("\\|", "|").split(), cli.mindsum
    context = click.Context(command)
    while isinstance(command, click.Group) and words and _WORD.match(words[0]):
        # `accept|decline` names two.
        for word in words[0].strip(",.:)").split("|"):
            if word not in command.list_commands(context):
                return f"no {word!r} in {named!r}"
        command = command.get_command(context, word) or command
        words = words[1:]
    known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    wrong = set(re.findall(r"(?<!\S)--[a-z-]+", " ".join(words))) - known - {"--help"}
    return f"no {', '.join(sorted(wrong))} in {named!r}" if wrong else ""


def test_the_check_sees_what_is_wrong() -> None:
    assert why_wrong("therapist set asha --rate 60") == ""
    assert "bookings" in why_wrong("bookings list")
    assert "--all" in why_wrong("outbox retry --all")
    assert list(named_in("run `mindsum db upgrade`"))
    assert list(named_in("f'look: {config.current().command} outbox list'"))


@for_every(SOURCES)
def test_every_command_named_in_code_and_guides_exists(path: Path) -> None:
    text = path.read_text(errors="replace")
    assert [why for named in named_in(text) if (why := why_wrong(named))] == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_the_demo_tells_ops_to_run_can_be_run_as_it_stands(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another terminal knows neither the demo's database nor its clock, and has no `mindsum`."""
    settings = config.current()
    demo = settings.model_copy(update={"demo_dir": tmp_path})
    monkeypatch.setattr(config, "_current", demo)
    outbox.hold(story.now)
    says = next(each.says for each in health.checks(story.now) if each.name == "outbox")
    command = shlex.split(says.partition("then run: ")[2])
    assert command[0] == "env"
    ran = subprocess.run(command, cwd="/", env={}, capture_output=True, text=True, check=True)
    assert "Released" in ran.stdout
