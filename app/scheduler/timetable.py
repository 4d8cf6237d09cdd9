"""The timetable: every job, how often it runs, and how many runs may overlap."""

from collections.abc import Callable

from app import clock
from app.mailer import Mailer
from app.services.jobs import due
from app.services.jobs.runner import Job
from app.services.mail.sender import OutboxSender

SWEEP_EVERY_S = 1.0


def timetable(mailer: Mailer, is_late: Callable[[], bool] = lambda: False) -> tuple[Job, ...]:
    """All jobs, in the order in which `--once` runs them.

    No message is handed over to the mail server once `is_late` returns True.
    """
    sender = OutboxSender(mailer, clock.now, is_late)
    return (
        Job("remind_answers", SWEEP_EVERY_S, due.remind_answers),
        Job("escalate_late", SWEEP_EVERY_S, due.escalate_late),
        Job("expire_enquiries", SWEEP_EVERY_S, due.expire_enquiries),
        Job("complete_sessions", SWEEP_EVERY_S, due.complete_sessions),
        Job("apply_standing", SWEEP_EVERY_S, due.apply_standing),
        Job("remind_sessions", SWEEP_EVERY_S, due.remind_sessions),
        Job("purge", 3600, due.purge),
        # Four at once: most of the time of an email is spent waiting for the mail server.
        Job("deliver_outbox", 0.5, lambda _now: sender.deliver(), 4, sender.patience_s),
    )
