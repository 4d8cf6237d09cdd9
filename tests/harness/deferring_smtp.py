"""A mail server that keeps some people's emails waiting."""

from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.harness.smtp_server import MailServer

DEFERRED = "greylisted-"
LET_IN_LATER = "later-"


class PickyServer(MailServer):
    """Defers what goes to the addresses that it is told to keep waiting."""

    defers: tuple[str, ...] = (DEFERRED, LET_IN_LATER)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: object
    ) -> str:
        if any(part in address for part in self.defers):
            return "451 4.7.1 Come back later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Fine"
