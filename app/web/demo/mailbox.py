"""The demo's mailbox: the emails sent, a preview of each kind, and the clock."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import cast, get_args

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app import clock, config
from app.demo import answers
from app.demo.maildir import StoredMessage, find, parse, stored_messages
from app.store import queries
from app.web.demo import clock as demo_clock
from app.web.demo.mail_parts import Parts, frame_page, parts_of
from app.web.security import CONTENT_POLICY
from emails.preview import Scheme
from emails.samples import SAMPLES

EMAILS_SHOWN = 50
VIEWS = ("html", "text", "calendar", "raw")

blueprint = Blueprint("mailbox", __name__, url_prefix="/mailbox")


@dataclass(frozen=True, slots=True)
class Tab:
    """A recipient with the number of their emails; `address` is None for all recipients."""

    name: str
    address: str | None
    count: int


@dataclass(frozen=True, slots=True)
class Row:
    """An email in the list; `is_new` if it arrived after the clock was last moved."""

    id: str
    recipient: str
    subject: str
    first_line: str
    kind: str
    at: datetime
    is_new: bool


@blueprint.after_request
def _allow_own_frames(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", f"{CONTENT_POLICY}; frame-src 'self'")
    return response


@blueprint.get("")
def inbox() -> str:
    stored, recipient = stored_messages(_mail_folder()), request.args.get("to")
    tabs = _tabs(stored)
    matching = [each for each in stored if recipient in (None, *each.envelope_to)]
    panel = demo_clock.panel(_demo_folder(), clock.now())
    return render_template(
        "demo/inbox.html",
        rows=_rows(matching[:EMAILS_SHOWN], tabs, panel.moved_from),
        total=len(matching),
        tabs=tabs,
        to=recipient,
        panel=panel,
        is_still="still" in request.args,
        command=config.current().command,
    )


@blueprint.post("/clock")
def move_clock() -> AnyResponse:
    demo_clock.move(_demo_folder(), request.form.get("step", ""), clock.now())
    return redirect(url_for(".inbox", to=request.form.get("to") or None), 303)


@blueprint.get("/<message_id>")
def read(message_id: str) -> str:
    stored = _stored(message_id)
    parts = parts_of(stored.message, stored.raw)
    return render_template(
        "demo/message.html",
        id=stored.id,
        at=stored.received_at,
        parts=parts,
        view=_view(parts),
        scheme=_scheme(),
        is_heard=config.current().inbound_domain is not None,
        asks=answers.can_answer(stored),
        sent=request.args.get("sent"),
    )


@blueprint.post("/<message_id>/answer")
def answer(message_id: str) -> AnyResponse:
    """Send back what the reader chose: yes, maybe, no, a reply, or that it did not arrive."""
    stored, choice, now = _stored(message_id), request.form.get("choice", ""), clock.now()
    if choice in answers.PARTSTATS and answers.can_answer(stored):
        message = answers.calendar_answer(stored, choice, now)
    elif choice == "reply":
        message = answers.reply(stored, request.form.get("text", ""), now)
    elif choice == "bounce":
        message = answers.bounce(stored, now)
    else:
        abort(400)
    is_taken = answers.send(message, "" if choice == "bounce" else stored.envelope_to[0])
    return redirect(
        url_for(".read", message_id=message_id, sent=choice if is_taken else "failed"), 303
    )


@blueprint.get("/<message_id>/html")
def read_html(message_id: str) -> Response:
    stored = _stored(message_id)
    return frame_page(parts_of(stored.message, stored.raw).html or "", _scheme())


@blueprint.get("/previews")
def previews() -> str:
    samples = {name: _sample(name) for name in SAMPLES}
    groups: dict[str, list[tuple[str, Parts]]] = {}
    for name, parts in samples.items():
        groups.setdefault(parts.recipient, []).append((name, parts))
    return render_template("demo/previews.html", groups=groups, count=len(samples))


@blueprint.get("/previews/<name>")
def preview(name: str) -> str:
    names, parts = list(SAMPLES), _sample(name)
    index = names.index(name)
    return render_template(
        "demo/preview.html",
        name=name,
        parts=parts,
        previous=names[index - 1] if index else None,
        next=names[index + 1] if index + 1 < len(names) else None,
    )


@blueprint.get("/previews/<name>/html")
def preview_html(name: str) -> Response:
    return frame_page(_sample(name).html or "", _scheme())


def _demo_folder() -> Path:
    folder = config.current().demo_dir
    assert folder is not None, "the blueprint is registered in a demo only"
    return folder


def _mail_folder() -> Path:
    return _demo_folder() / "mail"


def _stored(message_id: str) -> StoredMessage:
    return find(_mail_folder(), message_id) or abort(404)


def _sample(name: str) -> Parts:
    if name not in SAMPLES:
        abort(404)
    raw = SAMPLES[name]().to_bytes()
    return parts_of(parse(raw), raw)


def _view(parts: Parts) -> str:
    view = request.args.get("view", VIEWS[0])
    return view if view in VIEWS and getattr(parts, view) is not None else "raw"


def _scheme() -> Scheme:
    scheme = request.args.get("scheme")
    return cast(Scheme, scheme) if scheme in get_args(Scheme) else "auto"


def _rows(
    stored: Iterable[StoredMessage], tabs: Iterable[Tab], moved_from: datetime | None
) -> list[Row]:
    names = {tab.address: tab.name for tab in tabs if tab.address}
    return [_row(each, names, moved_from) for each in stored]


def _row(stored: StoredMessage, names: dict[str, str], moved_from: datetime | None) -> Row:
    parts = parts_of(stored.message, stored.raw)
    return Row(
        id=stored.id,
        recipient=", ".join(names.get(address, address) for address in stored.envelope_to),
        subject=parts.subject,
        first_line=parts.first_line,
        kind=parts.kind,
        at=stored.received_at,
        is_new=moved_from is not None and stored.received_at > moved_from,
    )


def _tabs(stored: Iterable[StoredMessage]) -> list[Tab]:
    counts = Counter(address for each in stored for address in each.envelope_to)
    therapists = {each.email: each.name for each in queries.every_therapist()}
    ops = {config.current().ops_email: "Ops"}
    ops |= dict.fromkeys(config.current().ops_sign_in, "Ops desk")
    clients = {
        address: _client_name(address)
        for address in sorted(counts)
        if address not in therapists and address not in ops
    }
    names = {**therapists, **clients, **ops}
    everyone = Tab("Everyone", None, sum(counts.values()))
    return [everyone, *(Tab(name, address, counts[address]) for address, name in names.items())]


def _client_name(address: str) -> str:
    client = queries.client_by_email(address)
    return queries.newest_booking_of_client(client).client_name if client else address
