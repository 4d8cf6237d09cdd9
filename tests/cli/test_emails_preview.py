"""`mindsum emails preview` writes every email as files, without settings or a database."""

import json
import re
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from app import cli
from emails.samples import SAMPLES
from tests.harness.every import for_every

ALWAYS = {"light.html", "dark.html", "body.txt", "raw.eml"}


def no_application() -> Any:
    raise AssertionError("previews need neither settings nor a database")


def run_preview(*words: str | Path) -> int:
    return cli.run(["emails", "preview", *map(str, words)], create=no_application)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The previews, in a folder that did not exist before."""
    new = tmp_path_factory.mktemp("previews") / "a" / "b"
    assert run_preview("--out", new) == 0
    return new


@for_every(SAMPLES)
def test_every_sample_is_written_as_it_would_be_sent(name: str, folder: Path) -> None:
    sample = SAMPLES[name]()
    written = {file.name: file.read_bytes() for file in (folder / name).iterdir()}
    assert set(written) == ALWAYS | ({"calendar.ics"} if sample.calendar else set())
    assert written["raw.eml"] == sample.to_bytes()
    assert message_from_bytes(written["raw.eml"], policy=policy.default)["Subject"] == (
        sample.subject
    )
    assert written["body.txt"].decode() == sample.text
    if sample.calendar:
        assert written["calendar.ics"] == sample.calendar.content


# Which of the two sets of rules applies.
SCHEMES = (("light", "not all"), ("dark", "all"))


@for_every([(name, *scheme) for name in SAMPLES for scheme in SCHEMES])
def test_a_colour_scheme_is_forced_over_the_browsers_preference(
    name: str, scheme: str, rules: str, folder: Path
) -> None:
    html = (folder / name / f"{scheme}.html").read_text(encoding="utf-8")
    assert "prefers-color-scheme" not in html
    assert html.count(f"@media {rules} {{") == 1
    assert f'name="color-scheme" content="{scheme}"' in html


def test_the_index_shows_each_scheme_and_width_and_links_every_file(
    folder: Path,
) -> None:
    index = (folder / "index.html").read_text(encoding="utf-8")
    frames = set(re.findall(r'<iframe [^>]*src="([^"]+)" width="(\d+)"', index))
    assert frames == {
        (f"{name}/{scheme}.html", width)
        for name in SAMPLES
        for scheme in ("light", "dark")
        for width in ("375", "680")
    }
    linked = set(re.findall(r'(?:href|src)="([^#"]+)"', index))
    files = {file.relative_to(folder).as_posix() for file in folder.rglob("*.*") if file.is_file()}
    assert linked == files - {"index.html"}


def test_the_files_are_listed_as_json_and_writing_them_again_changes_none(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    assert run_preview("--out", folder, "--json") == 0
    listed = [Path(file) for file in json.loads(capsys.readouterr().out)["files"]]
    assert {file: file.read_bytes() for file in listed} == before
    assert len(listed) == len(before)


def test_without_a_folder_the_previews_go_to_var(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_preview() == 0
    assert capsys.readouterr().out.endswith("open var/emails/index.html.\n")
    assert (tmp_path / "var/emails/index.html").exists()


@pytest.mark.parametrize("below", ["", "deeper", "deeper/still"])
def test_a_folder_that_cannot_be_written_is_one_line_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], below: str
) -> None:
    blocking_file = tmp_path / "file"
    blocking_file.write_text("other content")
    assert run_preview("--out", blocking_file / below) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert re.fullmatch(r"mindsum: [^\n]*file[^\n]*\n", output.err)
    assert blocking_file.read_text() == "other content"


def test_a_file_in_place_of_a_samples_folder_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / next(iter(SAMPLES))).write_text("other content")
    assert run_preview("--out", tmp_path) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert str(tmp_path) in said
    assert "File exists" in said
