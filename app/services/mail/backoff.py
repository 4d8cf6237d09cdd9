"""How long an email waits for its next try, and after how long it is given up."""

import random
from datetime import timedelta

GIVE_UP_AFTER = timedelta(hours=24)
LONGEST_WAIT = timedelta(hours=1)
# A share of the wait, so that emails that failed together are not all retried together.
JITTER = 0.2


def retry_wait(attempts: int, first_wait_s: float) -> timedelta:
    # The exponent is bounded because the power would overflow a float.
    doubled = first_wait_s * 2 ** min(attempts - 1, 20)
    bounded = min(doubled, max(LONGEST_WAIT.total_seconds(), first_wait_s))
    return timedelta(seconds=bounded * random.uniform(1 - JITTER, 1 + JITTER))
