"""How the parts of a message are encoded."""

import pytest

from emails import mime
from tests.emails.reference import parts_of

BOUNDARY = "=_boundary"


def encoded(subtype: str, content: str) -> tuple[str, str]:
    """The encoding that is used, and what a reader gets."""
    parts = [(subtype, content, {})]
    raw = mime.alternatives([("Subject", "x")], parts, boundary=BOUNDARY, utf8=False)
    _, [headers, shown] = parts_of(raw)
    return dict(headers)["Content-Transfer-Encoding"], shown


@pytest.mark.parametrize(
    ("subtype", "content", "encoding", "shown"),
    [
        ("html", "<p>£5 – fine 🙂</p>", "7bit", "<p>&#163;5 &#8211; fine &#128578;</p>"),
        ("html", "x" * 998, "7bit", "x" * 998),
        ("html", "x" * 999, "quoted-printable", "x" * 999),
        ("plain", "It costs 5 = a lot", "7bit", "It costs 5 = a lot"),
        ("plain", "It costs £5", "quoted-printable", "It costs £5"),
        ("plain", "a\r\n\r\nb", "7bit", "a\n\nb"),
        ("html", f"a\n--{BOUNDARY}--\nb", "quoted-printable", f"a\n--{BOUNDARY}--\nb"),
        ("plain", f"a\n--{BOUNDARY}\nb", "quoted-printable", f"a\n--{BOUNDARY}\nb"),
    ],
)  # fmt: skip
def test_only_what_could_not_travel_as_it_is_gets_encoded(
    subtype: str, content: str, encoding: str, shown: str
) -> None:
    used, read = encoded(subtype, content)
    assert used == encoding
    assert read.replace("\r\n", "\n") == f"{shown}\n"
