"""`mindsum check mail`: whether our emails arrive, and are taken for ours."""

from collections.abc import Iterator
from dataclasses import asdict

import click
from flask import current_app

from app import config
from app.cli import FAULT
from app.cli.common import Mistake, json_option, print_json, seconds, with_database
from app.services.inbound import checks
from app.services.inbound.checks import Finding


@click.command("mail")
@click.option(
    "--wait", "wait_s", type=seconds(3600), default=60.0, help="Seconds to wait for the email."
)
@click.option("--dns", "dns_server", metavar="ADDRESS:PORT", help="Ask this name server.")
@click.option("--no-dns", is_flag=True, help="Do not ask the DNS.")
@click.option("--no-send", is_flag=True, help="Do not send an email.")
@json_option
@with_database
def mail(wait_s: float, dns_server: str | None, no_dns: bool, no_send: bool, as_json: bool) -> int:
    """Send an email to ourselves, read how it arrived, and ask the DNS for what it needs."""
    findings = [
        *([] if no_send else _sent(wait_s)),
        *([] if no_dns else _published(dns_server)),
    ]
    if as_json:
        print_json([asdict(each) for each in findings])
    else:
        for each in findings:
            click.echo(f"{each.about:<9} {'ok' if each.is_ok else 'FAILED':<7} {each.says}")
    return 0 if all(each.is_ok for each in findings) else FAULT


def _sent(wait_s: float) -> Iterator[Finding]:
    if config.current().inbound_domain is None:
        raise Mistake("there is no mail door to send to: set INBOUND_DOMAIN, or add --no-send")
    yield from checks.send_and_wait(current_app.extensions["mailer"], wait_s)


def _published(dns_server: str | None) -> list[Finding]:
    # Imported by the one command that asks.
    from dns.exception import DNSException  # noqa: PLC0415

    try:
        asking = checks.resolver(dns_server)
        texts, exchangers = checks.records(asking, "TXT"), checks.records(asking, "MX")
        return list(checks.ask_dns(texts, lambda name: bool(exchangers(name))))
    except ValueError:
        raise Mistake("--dns should be ADDRESS:PORT, such as 127.0.0.1:53") from None
    except DNSException as error:
        why = type(error).__name__
        return [Finding("dns", False, f"the name server does not answer ({why}); try --no-dns")]
