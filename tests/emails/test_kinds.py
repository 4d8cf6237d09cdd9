"""The row of a kind, its templates and its values agree."""

from collections.abc import Iterator

import pytest
from jinja2 import Environment, UndefinedError, meta

from emails import render
from emails.kinds import FIRST_IN_THREAD, KINDS
from emails.message import EmailContext
from emails.samples import SESSION, VALUES, make_envelope, sample

every_kind = pytest.mark.parametrize("kind", KINDS)
KNOWN_TO_ALL = {
    "role",
    "reader",
    "zone",
    "sent_at",
    "reference",
    "session",
    "fee",
    "calendar",
    "support_email",
    "crisis_note",
    "hears_replies",
    "hears_answers",
    "subject",
    "preheader",
}


def names_used(environment: Environment, template: str) -> Iterator[str]:
    """The variables of a template and of what is joined to it."""
    assert environment.loader is not None
    source, _, _ = environment.loader.get_source(environment, template)
    tree = environment.parse(source)
    assert not list(meta.find_referenced_templates(tree)), "each email would look for it"
    yield from meta.find_undeclared_variables(tree) - set(environment.globals)


def own_subject(kind: str) -> list[str]:
    return [path for path in render.OWN_SUBJECTS if path.startswith(f"{kind}/")]


@every_kind
def test_the_templates_of_a_kind_use_the_values_of_its_row_and_no_others(kind: str) -> None:
    names = (
        render.THREAD_SUBJECT, *own_subject(kind), f"{kind}/body.txt", f"{kind}/body.html"
    )  # fmt: skip
    used = {value for name in names for value in names_used(render._templates(), name)}
    row = KINDS[kind]
    assert used - KNOWN_TO_ALL == {*row.facts, *row.values}


def test_every_folder_of_templates_belongs_to_a_kind() -> None:
    folders = {path.name for path in render.TEMPLATES.iterdir() if path.is_dir()}
    assert folders - {"shared"} == set(KINDS)


def test_the_templates_of_all_kinds_compile() -> None:
    render.warm_up()


def test_every_name_in_a_row_has_a_sample_value() -> None:
    named = {name for row in KINDS.values() for name in (*row.facts, *row.values)}
    assert named == {*VALUES, "booking_url", "cancelling_rule"}


def test_an_email_whose_value_is_missing_is_not_rendered() -> None:
    context = EmailContext(envelope=make_envelope("client"), session=SESSION)
    with pytest.raises(UndefinedError, match="is undefined"):
        render.render("booking_received", context)


def test_a_kind_goes_only_to_the_roles_of_its_row() -> None:
    with pytest.raises(ValueError, match="booking_received does not go to ops"):
        sample("booking_received", "ops")


def test_the_first_email_of_each_thread_is_a_kind_to_that_role() -> None:
    assert all(role in KINDS[kind].to for role, kind in FIRST_IN_THREAD.items())
