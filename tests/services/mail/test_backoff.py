"""The wait before an email's next try."""

from app.services.mail import backoff


def test_the_wait_doubles_with_jitter_up_to_an_hour() -> None:
    for attempts in range(1, 40):
        wait = backoff.retry_wait(attempts, 30).total_seconds()
        ideal = min(30 * 2 ** (attempts - 1), 3600)
        assert 0.8 * ideal <= wait <= 1.2 * ideal


def test_a_first_wait_of_more_than_an_hour_is_kept() -> None:
    assert backoff.retry_wait(9, 7200).total_seconds() >= 0.8 * 7200
