"""The files that operators copy name settings, metrics and programs that there are."""

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.config import Settings
from app.version import VERSION
from app.web import bodies
from tests.harness.every import for_every
from tests.harness.ops_pages import beat, scrape
from tests.harness.processes import ROOT
from tests.scenarios.story import Story
from tests.web.conftest import Visitor, another_visitor

DEPLOY = ROOT / "deploy"
SETTINGS = {name.upper() for name in Settings.model_fields}
# Of the programs around ours.
OTHERS = {"PYTHON_VERSION"}


@pytest.fixture
def visitor(story: Story) -> Visitor:
    return another_visitor(story.app)


def of_yaml(path: str) -> Any:
    return yaml.safe_load((DEPLOY / path).read_text())


def settings_named() -> dict[str, set[str]]:
    """The variables that each file sets, by file."""
    lines = re.compile(r"(?m)^([A-Z_]+)=")
    platforms = DEPLOY / "platforms"
    render = of_yaml("platforms/render.yaml")
    variables = [*render["envVarGroups"][0]["envVars"], *render["services"][0]["envVars"]]
    return {
        "compose": set(of_yaml("docker/compose.yaml")["x-product"]["environment"]),
        "site.env": set(lines.findall((DEPLOY / "docker/site.env.example").read_text())),
        "units": set(lines.findall((DEPLOY / "systemd/env.example").read_text())),
        "heroku": set(json.loads((platforms / "heroku/app.json").read_text())["env"]),
        "render": {each["key"] for each in variables if "key" in each},
        "fly": set(tomllib.loads((platforms / "fly.toml").read_text())["env"]),
        "keys": set(lines.findall(printed("make-secrets"))),
    }


def printed(script: str) -> str:
    return subprocess.run(
        [shutil.which("python3") or "python3", DEPLOY / script],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


def test_every_variable_of_a_recipe_is_a_setting() -> None:
    named = settings_named()
    assert all(named.values())
    known = SETTINGS | OTHERS
    assert [f"{file}: {each}" for file, found in named.items() for each in found - known] == []


def test_the_proxy_lets_the_largest_body_of_ours_pass() -> None:
    [most] = re.findall(r"max_size (\d+)MiB", (DEPLOY / "docker/Caddyfile").read_text())
    assert int(most) * 1024 * 1024 >= max(bodies.LIMITS.values())


def test_both_processes_on_render_have_the_same_variables() -> None:
    site, scheduler = (
        {each["key"] for each in service["envVars"] if "key" in each}
        for service in of_yaml("platforms/render.yaml")["services"]
    )
    assert site == scheduler


def test_new_keys_are_good_keys_and_no_two_are_alike() -> None:
    first, second = (
        dict(line.split("=", 1) for line in printed("make-secrets").splitlines()) for _ in range(2)
    )
    assert not set(first.values()) & set(second.values())
    Settings(
        public_url="https://bookings.example.org",
        secret_key=first["SECRET_KEY"],
        notes_key=(first["NOTES_KEY"],),
        backup_key=(first["BACKUP_KEY"],),
    )


def test_alerts_and_dashboard_read_metrics_that_a_scrape_has(visitor: Visitor) -> None:
    beat()
    visitor.get("/healthz")
    there = {name.partition("{")[0] for name in scrape(visitor)}
    described = set(re.findall(r"(?m)^# TYPE (\S+)", visitor.get("/metrics").text))
    for file in ("rules.yml", "grafana.json"):
        named = set(re.findall(r"mindsum_\w+", (DEPLOY / "monitoring" / file).read_text()))
        assert named
        assert named - there - described - {f"{name}_total" for name in described} == set()


def test_the_image_says_the_version_and_runs_no_more_than_it_needs() -> None:
    lines = (DEPLOY / "docker/Dockerfile").read_text()
    assert f'image.version="{VERSION}"' in lines
    assert "--require-hashes -r requirements.lock" in lines
    assert re.search(r"(?m)^USER 10001$", lines)
    described = of_yaml("docker/compose.yaml")
    product = described["x-product"]
    assert product["image"].endswith(f":{VERSION}")
    assert (product["read_only"], product["cap_drop"]) == (True, ["ALL"])
    processes = re.findall(r"(?m)^(\w+):", (ROOT / "Procfile").read_text())
    assert set(processes) <= set(described["services"])


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze")
@for_every(["web", "scheduler", "inbound", "release", "backup"])
def test_a_unit_exposes_little(unit: str, tmp_path: Path) -> None:
    name = f"mindsum-{unit}.service"
    joined = tmp_path / name
    parts = (DEPLOY / "systemd" / name, DEPLOY / "systemd/mindsum-.service.d/hardening.conf")
    joined.write_text("\n".join(part.read_text() for part in parts))
    said = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", joined],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = re.search(r"exposure level for \S+: ([\d.]+)", said.stdout)
    assert found, said
    assert float(found[1]) <= 2.0
