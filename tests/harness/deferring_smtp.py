"""A mail server that defers the emails to some addresses."""

from tests.harness.smtp_server import MailServer

DEFERRED = "greylisted-"
LET_IN_LATER = "later-"


class DeferringServer(MailServer):
    """Defers what goes to an address that contains one of `defers`."""

    def __init__(self) -> None:
        super().__init__(on_recipient=self._reply)
        self.defers: tuple[str, ...] = (DEFERRED, LET_IN_LATER)

    def _reply(self, address: str) -> str | None:
        is_deferred = any(part in address for part in self.defers)
        return "451 4.7.1 Come back later" if is_deferred else None
