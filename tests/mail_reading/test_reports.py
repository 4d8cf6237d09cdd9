"""Reports of mail servers, complaints and what our own server says of a sender."""

import pytest

from app.mail_reading import authentication
from app.mail_reading.message import read
from tests.scenarios.bounces import SHAPES, Refusal, complaint, report
from tests.scenarios.mailbox import written

TO = "bounce+42-inpuwpdrzfdztd6caxzq@in.example"


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_says_whether_it_is_final(name: str) -> None:
    shape = SHAPES[name]
    reports = read(shape.write(Refusal(to=TO, **shape.fields))).reports
    count = {"no_report": 0}.get(shape.outcome, 2 if name == "two_recipients" else 1)
    assert [each.is_final for each in reports] == [shape.outcome != "delayed"] * count


def test_the_recipient_as_we_wrote_it_is_named_where_it_was_forwarded() -> None:
    found = read(report(Refusal(to=TO, final="other@new.example"))).reports[0]
    assert found.recipient_key == "asha@therapists.example"


def test_a_reply_of_a_person_or_program_is_no_report() -> None:
    assert read(written(TO, "I am away", headers="Auto-Submitted: auto-replied\n")).reports == ()
    assert read(report(Refusal(to=TO, action="relayed"))).reports == ()


@pytest.mark.parametrize(("kind", "counts"), [("abuse", True), ("opt-out", True), ("other", False)])
def test_a_complaint_names_the_email_by_our_envelope_sender(kind: str, counts: bool) -> None:
    facts = read(complaint(Refusal(to=TO), kind))
    assert facts.is_complaint is counts
    assert facts.complained == ((TO,) if counts else ())


MX = "mx.in.example"
ASHA = "asha@example.com"
AUTHENTIC = [
    (f"{MX}; dkim=pass header.d=example.com; spf=none", True),
    (f"{MX}; spf=pass smtp.mailfrom=asha@example.com", True),
    (f"{MX}; dmarc=pass header.from=example.com", True),
    (f"{MX}; dkim=pass (2048-bit key) header.i=@example.com header.b=abc", True),
    # Google signs like this for a Workspace domain without a key; its DMARC fails.
    (f"{MX}; dkim=pass header.d=example-com.20230601.gappssmtp.com; dmarc=fail", True),
    (f"{MX}; dkim=pass header.d=other-com.20230601.gappssmtp.com", False),
    (f"{MX}; dkim=fail header.d=example.com; spf=softfail smtp.mailfrom=example.com", False),
    (f"{MX}; dkim=pass header.d=evil.example", False),
    (f"{MX}; dkim=pass header.d=com", False),
    (f"{MX}; dkim=pass header.d=notexample.com", False),
    ("mx.elsewhere.example; dkim=pass header.d=example.com", False),
    (f"{MX}; none", False),
    ("", False),
]


@pytest.mark.parametrize(("field", "expected"), AUTHENTIC)
def test_only_what_our_own_server_says_of_the_senders_domain_counts(
    field: str, expected: bool
) -> None:
    assert authentication.is_authentic([field], MX, ASHA) is expected
    headers = f"Authentication-Results: {field}\n" if field else ""
    facts = read(written(TO, "Yes", sender=ASHA, headers=headers), MX)
    assert facts.is_authentic is expected


def test_the_newest_field_of_our_server_is_the_one_that_counts() -> None:
    forged = f"{MX}; dkim=pass header.d=example.com"
    fields = [f"{MX}; dkim=none", forged]
    assert not authentication.is_authentic(fields, MX, ASHA)
    assert authentication.is_authentic(["other.example; none", forged], MX, ASHA)
