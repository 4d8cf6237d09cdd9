"""The demo's mailbox: every email that was sent, a preview of each kind, and the clock."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import cast, get_args

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app import clock, config
from app.maildir import StoredMessage, find, stored_messages
from app.store import queries
from app.web.demo import clock as demo_clock
from app.web.demo.mail_parts import Parts, framed, take_apart
from app.web.security import CONTENT_POLICY
from emails.preview import Scheme
from emails.samples import SAMPLES

SHOWN = 100
VIEWS = ("html", "text", "calendar", "raw")

blueprint = Blueprint("mailbox", __name__, url_prefix="/mailbox")


@dataclass(frozen=True, slots=True)
class Tab:
    """One recipient: their name, their address (None stands for everyone), how many emails."""

    name: str
    address: str | None
    count: int


@dataclass(frozen=True, slots=True)
class Row:
    """One email in the list.

    `news` is its text's first line; `is_new` says that it came after the clock was last moved.
    """

    id: str
    recipient: str
    subject: str
    news: str
    kind: str
    at: datetime
    is_new: bool


@blueprint.after_request
def _let_it_frame_itself(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", f"{CONTENT_POLICY}; frame-src 'self'")
    return response


@blueprint.get("")
def inbox() -> str:
    """Every email, newest first, of everyone or of one recipient; refreshes itself."""
    stored = stored_messages(_mail())
    tabs = _tabs(stored)
    to = request.args.get("to")
    theirs = [one for one in stored if to in (None, *one.envelope_to)]
    panel = demo_clock.panel(_folder(), clock.now())
    return render_template(
        "demo/inbox.html",
        rows=_rows(theirs[:SHOWN], tabs, panel.moved_from),
        total=len(theirs),
        tabs=tabs,
        to=to,
        panel=panel,
        is_still="still" in request.args,
    )


@blueprint.post("/clock")
def move_clock() -> AnyResponse:
    """Move the whole demo forward, then show the list again."""
    demo_clock.move(_folder(), request.form.get("step", ""), clock.now())
    return redirect(url_for(".inbox", to=request.form.get("to") or None), 303)


@blueprint.get("/<message_id>")
def read(message_id: str) -> str:
    """One email, as one of VIEWS."""
    stored = _stored(message_id)
    parts = take_apart(stored.message, stored.raw)
    return render_template(
        "demo/message.html",
        id=stored.id,
        at=stored.received_at,
        parts=parts,
        view=_view(parts),
        scheme=_scheme(),
    )


@blueprint.get("/<message_id>/html")
def read_html(message_id: str) -> Response:
    """The HTML of one email, for the frame on its page."""
    stored = _stored(message_id)
    return framed(take_apart(stored.message, stored.raw).html or "", _scheme())


@blueprint.get("/previews")
def previews() -> str:
    """Every kind of email, by whom it goes to."""
    samples = {name: _sample(name) for name in SAMPLES}
    groups: dict[str, list[tuple[str, Parts]]] = {}
    for name, parts in samples.items():
        groups.setdefault(parts.recipient, []).append((name, parts))
    return render_template("demo/previews.html", groups=groups, count=len(samples))


@blueprint.get("/previews/<name>")
def preview(name: str) -> str:
    """One kind of email in both schemes and at both widths, and its other parts."""
    names = list(SAMPLES)
    parts = _sample(name)
    index = names.index(name)
    return render_template(
        "demo/preview.html",
        name=name,
        parts=parts,
        before=names[index - 1] if index else None,
        after=names[index + 1] if index + 1 < len(names) else None,
    )


@blueprint.get("/previews/<name>/html")
def preview_html(name: str) -> Response:
    """The HTML of one sample, for the frames on its page."""
    return framed(_sample(name).html or "", _scheme())


def _folder() -> Path:
    folder = config.current().demo_dir
    assert folder is not None, "registered in a demo only"
    return folder


def _mail() -> Path:
    return _folder() / "mail"


def _stored(message_id: str) -> StoredMessage:
    return find(_mail(), message_id) or abort(404)


def _sample(name: str) -> Parts:
    if name not in SAMPLES:
        abort(404)
    message = SAMPLES[name]()
    return take_apart(message.to_email(), message.to_bytes())


def _view(parts: Parts) -> str:
    asked = request.args.get("view", VIEWS[0])
    return asked if asked in VIEWS and getattr(parts, asked) is not None else "raw"


def _scheme() -> Scheme:
    asked = request.args.get("scheme")
    return cast(Scheme, asked) if asked in get_args(Scheme) else "auto"


def _rows(
    stored: Iterable[StoredMessage], tabs: Iterable[Tab], moved_from: datetime | None
) -> list[Row]:
    names = {tab.address: tab.name for tab in tabs if tab.address}
    return [_row(one, names, moved_from) for one in stored]


def _row(stored: StoredMessage, names: dict[str, str], moved_from: datetime | None) -> Row:
    parts = take_apart(stored.message, stored.raw)
    return Row(
        id=stored.id,
        recipient=", ".join(names.get(address, address) for address in stored.envelope_to),
        subject=parts.subject,
        news=parts.news,
        kind=parts.kind,
        at=stored.received_at,
        is_new=moved_from is not None and stored.received_at > moved_from,
    )


def _tabs(stored: Iterable[StoredMessage]) -> list[Tab]:
    """Everyone, then each therapist, each client who was written to, and ops."""
    counts = Counter(address for one in stored for address in one.envelope_to)
    therapists = {one.email: one.name for one in queries.every_therapist()}
    ops = config.current().ops_email
    clients = {
        address: _client_name(address)
        for address in sorted(counts)
        if address not in therapists and address != ops
    }
    named = {**therapists, **clients, ops: "Ops"}
    everyone = Tab("Everyone", None, sum(counts.values()))
    return [everyone, *(Tab(name, address, counts[address]) for address, name in named.items())]


def _client_name(address: str) -> str:
    client = queries.client_by_email(address)
    return client.name if client else address
