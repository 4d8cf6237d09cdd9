"""The shape of the code: imports, sizes, words, writers of a status, guarded routes."""

import ast
import io
import re
import subprocess
import sys
import tokenize
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from playhouse.schema_diff import diff_models
from werkzeug.routing import Rule

from app.store import models
from app.store.db import database
from tests.harness.databases import beside
from tests.harness.processes import ROOT
from tests.harness.waiting import PATIENCE_S

SOURCES = [
    *sorted((ROOT / "app").rglob("*.py")),
    *sorted((ROOT / "emails").rglob("*.py")),
    ROOT / "scheduler.py",
]

FILE_LINES = 400
FUNCTION_LINES = 40
ENDPOINT_LINES = 15
REPEATED_LINES = 6
MOST_REPEATS = 5

TEXTS = [
    ROOT / "README.md",
    *(
        path
        for folder in ("app", "emails", "docs")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in {".py", ".html", ".mjml", ".txt", ".md"}
    ),
]
AVOIDED_WORDS = re.compile(r"\b(whom|whoever|lest|afresh|anew|nobody|meanwhile)\b", re.IGNORECASE)
MOST_DOCSTRING_LINES = 0.05
LEAST_COMMENT_LINES = 0.025

PUBLIC = {
    "/",
    "/my-links",
    "/photos/<any(small, large):size>/<key>.webp",
    "/sign-in",
    "/sign-out",
    "/ops/sign-in",
    "/ops/sign-out",
    "/robots.txt",
    "/therapists/<slug>",
    "/therapists/<slug>/requested",
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/openapi.json",
    "/api/reference",
    "/api/problems/<code>",
    "/static/<path:filename>",
}

SCHEDULER_MAY_IMPORT = {
    "app": {"clock", "config", "create_app"},
    "app.errors": {"ConfigError"},
    "app.mailer": {"Mailer"},
    "app.scheduler.delivery_worker": {"DeliveryWorker", "WakeUps", "has_second_core"},
    "app.scheduler.timetable": {"DELIVER_OUTBOX", "delivery_job", "timetable"},
    "app.services.inbound": {"addresses"},
    "app.services.inbound.handle": {"process_inbound"},
    "app.services.jobs": {"due"},
    "app.services.mail.leases": {"LeapWatch"},
    "app.services.mail.sender": {"OutboxSender"},
    "app.services.mail.throttle": {"ProcessorShare"},
    "app.services.jobs.result": {"Job"},
    "app.services.jobs.runner": {"JobRunner"},
    "app.services.jobs.monitor": {"JobMonitor"},
    "app.store": {"wakeups"},
    "emails": {"render"},
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_imports_run_one_way_through_the_layers() -> None:
    ran = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout


def imports_of(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Each (module, name) that a module imports, "" for the module itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)


def test_the_scheduler_imports_services_and_no_rule_row_or_page() -> None:
    ours = [
        (module, name)
        for path in sorted((ROOT / "app/scheduler").glob("*.py"))
        for module, name in imports_of(ast.parse(path.read_text()))
        if module.partition(".")[0] in {"app", "emails", "tests"}
    ]
    assert [each for each in ours if each[1] not in SCHEDULER_MAY_IMPORT.get(each[0], ())] == []
    assert ("app.services.jobs", "due") in ours


def test_emails_import_nothing_of_the_application() -> None:
    for path in sorted((ROOT / "emails").rglob("*.py")):
        modules = {module for module, _ in imports_of(ast.parse(path.read_text()))}
        assert not [each for each in modules if each.partition(".")[0] == "app"], path


def sets_status(node: ast.AST) -> bool:
    """Whether a piece of code may set the status of a booking that exists."""
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return any(isinstance(each, ast.Attribute) and each.attr == "status" for each in targets)
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func)
        if called == "setattr":
            return "booking" in ast.unparse(node.args[0])
        # A mapping may hold a status, wherever it was written.
        words = {keyword.arg for keyword in node.keywords}
        may_hold = bool(words & {"status", None} or node.args)
        return may_hold and bool(re.fullmatch(r"Booking\.(update|insert|replace|set)\w*", called))
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return bool(re.search(r"\bupdate\s+\"?booking\"?\s", node.value, re.IGNORECASE))
    return False


def writes_of_status(tree: ast.AST) -> list[ast.AST]:
    return [node for node in ast.walk(tree) if sets_status(node)]


def test_only_transitions_writes_the_status_of_a_booking() -> None:
    writers = {name_of(path) for path in SOURCES if writes_of_status(ast.parse(path.read_text()))}
    assert writers == {"app/services/bookings/transitions.py"}


@pytest.mark.parametrize(
    "line",
    [
        "booking.status = Status.ACCEPTED",
        "old.status: Status = Status.ACCEPTED",
        "Booking.update(status='accepted').execute()",
        "Booking.update(**changes).execute()",
        "Booking.update({Booking.status: 'accepted'}).execute()",
        "setattr(booking, 'status', 'accepted')",
        "db.execute_sql('UPDATE booking SET status = 1')",
    ],
)
def test_a_status_written_elsewhere_would_be_found(line: str) -> None:
    assert len(writes_of_status(ast.parse(line))) == 1


def test_a_booking_begins_in_one_place_and_as_requested() -> None:
    begun = [
        (name_of(path), ast.unparse(keyword.value))
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"Booking.create", "Booking"}
        for keyword in node.keywords
        if keyword.arg == "status"
    ]
    assert begun == [("app/services/bookings/request.py", "Status.REQUESTED")]


def length_of(function: ast.FunctionDef) -> int:
    """Lines from `def` to the end, without the docstring."""
    first = function.body[0]
    is_documented = ast.get_docstring(function) is not None
    documented = (first.end_lineno or 0) - first.lineno + 1 if is_documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - documented


def test_files_functions_and_endpoints_are_small() -> None:
    too_long = []
    for path in SOURCES:
        if "migrations" in path.parts:
            continue
        text = path.read_text()
        if text.count("\n") > FILE_LINES:
            too_long.append(f"{name_of(path)}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                decorators = [ast.unparse(each) for each in node.decorator_list]
                is_endpoint = any(re.match(r"\w+\.(get|post|route)\(", each) for each in decorators)
                most = ENDPOINT_LINES if is_endpoint and "web" in path.parts else FUNCTION_LINES
                if length_of(node) > most:
                    too_long.append(f"{name_of(path)}: {node.name}, {length_of(node)} lines")
    assert too_long == []


def test_every_module_says_in_one_line_what_it_owns() -> None:
    missing = [
        name_of(path)
        for path in SOURCES
        if "migrations" not in path.parts
        and not (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
    ]
    assert missing == []


def test_texts_use_plain_words() -> None:
    assert len(TEXTS) > len(SOURCES)
    found = [
        f"{name_of(path)}: {word[0]}"
        for path in TEXTS
        for word in AVOIDED_WORDS.finditer(path.read_text())
    ]
    assert found == []


def test_each_dependency_has_its_reason_and_what_would_replace_it() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.split(r"[\[<>=]", each)[0] for each in declared}
    text = (ROOT / "docs" / "dependencies.md").read_text()
    rows = re.findall(r"(?m)^\| ([\w, -]+) \|.*\| ([\d, -]+) \|[^|]+\|$", text)
    released = {
        name: month
        for row in rows
        for name, month in zip(*(cell.split(", ") for cell in row), strict=True)
    }
    assert names - released.keys() == set()
    # One that has had no release for two years is argued for.
    argued = set(re.findall(r"[\w-]+", text.partition("No release for two years:")[2]))
    assert {name for name, month in released.items() if month < "2024-12"} - argued == set()


def docstring_lines(text: str) -> int:
    """Lines of all docstrings of a module."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    first = [
        node.body[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, documented) and ast.get_docstring(node) is not None
    ]
    return sum((each.end_lineno or 0) - each.lineno + 1 for each in first)


def comment_lines(text: str) -> int:
    """Lines that hold a comment and nothing else."""
    return sum(
        token.type == tokenize.COMMENT and token.line.lstrip().startswith("#")
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
    )


def test_reasons_are_comments_and_docstrings_are_few() -> None:
    texts = [path.read_text() for path in SOURCES]
    lines = sum(text.count("\n") for text in texts)
    assert sum(map(docstring_lines, texts)) <= MOST_DOCSTRING_LINES * lines
    assert sum(map(comment_lines, texts)) >= LEAST_COMMENT_LINES * lines


def test_code_is_written_once() -> None:
    places = defaultdict[tuple[str, ...], list[str]](list)
    for path in SOURCES:
        if "migrations" in path.parts:
            continue
        lines = [line.strip() for line in path.read_text().splitlines() if line.strip()]
        for start in range(len(lines) - REPEATED_LINES + 1):
            run = tuple(lines[start : start + REPEATED_LINES])
            places[run].append(f"{name_of(path)}: {run[0]}")
    repeats = [found for found in places.values() if len(found) > 1]
    assert len(repeats) <= MOST_REPEATS, repeats


def address(rule: Rule) -> str:
    """An address that the rule serves, for a visitor who may not see it."""
    known = {"token": "abc.def.ghi", "slug": "asha", "reference": "MB-ABCDEF"}
    filled = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: known.get(found[1], "1"), rule.rule)
    return str(filled)


def test_every_route_is_public_by_list_signed_keyed_or_behind_sign_in(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    stranger = app.test_client()
    seen, unguarded = set(), []
    for rule in app.url_map.iter_rules():
        seen.add(rule.rule)
        if rule.rule in PUBLIC:
            continue
        sign_in = "/ops/sign-in" if rule.rule.startswith("/ops") else "/sign-in"
        for method in sorted((rule.methods or set()) - {"OPTIONS"}):
            answer = stranger.open(address(rule), method=method)
            if rule.rule.startswith("/link/"):
                is_locked = answer.status_code == 400
            elif rule.rule.startswith("/calendar/"):
                is_locked = answer.status_code == 404
            elif rule.rule.startswith("/api/v1/"):
                is_locked = answer.status_code == 401
            else:
                goes_to = answer.headers.get("Location", "").partition("?")[0]
                is_sent_there = answer.status_code in (302, 303) and goes_to == sign_in
                is_locked = is_sent_there or answer.status_code == 401
            if not is_locked:
                unguarded.append(f"{method} {rule.rule}: {answer.status_code}")
    assert unguarded == []
    assert seen >= PUBLIC


def test_the_mailbox_exists_in_the_demo_only(app: Flask) -> None:
    assert not [rule for rule in app.url_map.iter_rules() if "mailbox" in rule.rule]


def test_the_migrated_schema_is_the_models(app: Flask) -> None:
    assert not diff_models(database.db.obj, models.TABLES)


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of either kind without a single table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'bare.db'}"
        return
    url = request.getfixturevalue("postgresql_url")
    name = f"bare_{tmp_path.name}".lower()
    database.bind(url)
    with database.connection():
        database.db.execute_sql(f'CREATE DATABASE "{name}"')
    database.release()
    yield beside(url, name)
    database.release()


@pytest.mark.process
def test_the_schema_is_upgraded_once_by_four_processes_at_once(bare_url: str) -> None:
    upgrade = (
        "import sys; from app.store.db import database; database.bind(sys.argv[1]);"
        "print(len(database.upgrade()))"
    )
    at_once = [
        subprocess.Popen(
            [sys.executable, "-c", upgrade, bare_url],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    said = [process.communicate(timeout=PATIENCE_S) for process in at_once]
    assert [error for _, error in said] == [""] * 4
    database.bind(bare_url)
    assert database.pending_upgrades() == []
    steps = sorted(int(applied) for applied, _ in said)
    assert steps[:3] == [0, 0, 0]
    assert steps[3] > 0
    assert database.upgrade() == []
    assert not diff_models(database.db.obj, models.TABLES)
