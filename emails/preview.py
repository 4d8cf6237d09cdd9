"""Every sample as files to look at: in light and dark, as text, calendar and source."""

import re
from pathlib import Path
from typing import Literal

from jinja2 import Environment, PackageLoader, StrictUndefined

from emails.message import Message
from emails.samples import SAMPLES

Scheme = Literal["auto", "light", "dark"]

WIDTHS_PX = {"phone": 375, "desktop": 680}

_DARK_RULES = re.compile(r"@media\s*\(prefers-color-scheme:\s*dark\)")
_BOTH_SCHEMES = 'content="light dark"'


def in_scheme(html: str, scheme: Scheme) -> str:
    """The HTML with that colour scheme forced; `auto` leaves it to the browser."""
    if scheme == "auto":
        return html
    forced = _DARK_RULES.sub("@media all" if scheme == "dark" else "@media not all", html)
    return forced.replace(_BOTH_SCHEMES, f'content="{scheme}"')


def write(folder: Path) -> list[Path]:
    """`<sample>/…` for every sample and an index.html; the files in that order. Raises OSError."""
    written = []
    messages = {name: sample() for name, sample in SAMPLES.items()}
    for name, message in messages.items():
        subfolder = folder / name
        subfolder.mkdir(parents=True, exist_ok=True)
        for file, content in _files(message).items():
            (subfolder / file).write_bytes(content)
            written.append(subfolder / file)
    index = folder / "index.html"
    index.write_text(_index(messages), encoding="utf-8")
    return [*written, index]


def _files(message: Message) -> dict[str, bytes]:
    files = {
        "light.html": in_scheme(message.html, "light").encode(),
        "dark.html": in_scheme(message.html, "dark").encode(),
        "body.txt": message.text.encode(),
    }
    if message.calendar is not None:
        files["calendar.ics"] = message.calendar.content
    return {**files, "raw.eml": message.to_bytes()}


def _index(messages: dict[str, Message]) -> str:
    environment = Environment(
        loader=PackageLoader("emails"), undefined=StrictUndefined, autoescape=True
    )
    page = environment.get_template("previews.html")
    return page.render(messages=messages, widths=WIDTHS_PX, schemes=("light", "dark"))
