"""Every email word for word, in one file per kind.

After a change of words: `python -m tests.emails.test_golden` writes the files again; read the diff.
"""

from pathlib import Path

import pytest

from emails.kinds import KINDS
from emails.message import Message
from emails.samples import SAMPLES
from tests.emails.html_text import HtmlText
from tests.emails.situations import SITUATIONS

GOLDEN = Path(__file__).parent / "golden"


def written(name: str, message: Message) -> str:
    page = HtmlText(message.html).text
    return f"##### {name}\nSubject: {message.subject}\n\n{message.text}\n##### as HTML\n{page}\n"


def golden(kind: str) -> str:
    """All samples and situations of that kind, as its golden file holds them."""
    samples = {**SAMPLES, **SITUATIONS}
    return "\n".join(
        written(name, make()) for name, make in samples.items() if name.split(".")[0] == kind
    )


@pytest.mark.parametrize("kind", KINDS)
def test_an_email_says_what_its_golden_file_says(kind: str) -> None:
    assert golden(kind) == (GOLDEN / f"{kind}.txt").read_text(encoding="utf-8")


def test_every_golden_file_belongs_to_a_kind() -> None:
    assert {file.stem for file in GOLDEN.iterdir()} == set(KINDS)


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for file in GOLDEN.iterdir():
        file.unlink()
    for each in KINDS:
        (GOLDEN / f"{each}.txt").write_text(golden(each), encoding="utf-8")
