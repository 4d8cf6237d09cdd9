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
PRODUCT = f"mindsum-bookings:{VERSION}"


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


def test_the_image_is_built_from_what_there_is_and_gets_into_its_context() -> None:
    let_in = {line[1:] for line in lines_of(ROOT / ".dockerignore") if line.startswith("!")}
    copied = [
        source
        for line in lines_of(DEPLOY / "docker/Dockerfile")
        if line.startswith("COPY ") and "--from=" not in line
        for source in line.split()[1:-1]
    ]
    assert "requirements.lock" in copied
    # A pattern, so that it may match nothing.
    files = [each.replace("jso[n]", "json") for each in copied]
    assert [each for each in files if each not in let_in] == []
    assert [each for each in files if not (ROOT / each).exists()] in ([], ["dist/sbom.json"])


def lines_of(file: Path) -> list[str]:
    return file.read_text().splitlines()


def test_each_service_of_compose_waits_for_what_it_needs_and_says_whether_it_is_well() -> None:
    described = of_yaml("docker/compose.yaml")
    services = described["services"]
    own = {name for name, each in services.items() if each.get("image") == PRODUCT}
    assert own >= {"secrets", "release", "web", "scheduler", "inbound"}
    for name, service in services.items():
        assert set(service.get("depends_on", ())) <= set(services), name
        for mount in service["volumes"]:
            source = mount.split(":")[0]
            is_file = source.startswith("./")
            known = (DEPLOY / "docker" / source).exists() if is_file else described["volumes"]
            assert known if is_file else source in known, mount
    for name in own:
        assert (services[name]["read_only"], services[name]["cap_drop"]) == (True, ["ALL"])
        may_write = name == "secrets"
        keys = [each for each in services[name]["volumes"] if each.startswith("secrets:")]
        assert keys == [f"secrets:/var/lib/mindsum{'' if may_write else ':ro'}"]
    # The site's is in its image; nothing starts before the keys are made and the schema is current.
    assert "HEALTHCHECK" in (DEPLOY / "docker/Dockerfile").read_text()
    assert "pg_isready" in services["database"]["healthcheck"]["test"]
    waits = {
        name: {needed: how["condition"] for needed, how in each["depends_on"].items()}
        for name, each in services.items()
        if "depends_on" in each
    }
    assert waits["database"] == {"secrets": "service_completed_successfully"}
    assert waits["release"] == {"database": "service_healthy"}
    for name in ("web", "scheduler", "inbound"):
        assert waits[name] == {"release": "service_completed_successfully"}
    assert waits["caddy"] == {"web": "service_healthy"}


def test_fly_builds_the_same_image() -> None:
    platforms = DEPLOY / "platforms"
    built = tomllib.loads((platforms / "fly.toml").read_text())["build"]["dockerfile"]
    assert (platforms / built).resolve() == (DEPLOY / "docker/Dockerfile").resolve()


def test_platforms_start_the_processes_of_the_procfile() -> None:
    # An installed product has no file scheduler.py in its folder.
    procfile = (ROOT / "Procfile").read_text().replace("python scheduler.py", "python -m scheduler")
    known = dict(re.findall(r"(?m)^(\w+): (.+)$", procfile))
    fly = tomllib.loads((DEPLOY / "platforms/fly.toml").read_text())
    assert fly["processes"].items() <= known.items()
    assert fly["deploy"]["release_command"] == known["release"]
    heroku = json.loads((DEPLOY / "platforms/heroku/app.json").read_text())
    assert set(heroku["formation"]) == {"web", "scheduler"}
    web, worker = of_yaml("platforms/render.yaml")["services"]
    assert (web["startCommand"], worker["startCommand"]) == (known["web"], known["scheduler"])
    assert web["preDeployCommand"] == known["release"]


def test_alerts_and_dashboard_choose_by_labels_that_a_metric_has(visitor: Visitor) -> None:
    beat()
    visitor.get("/healthz")
    labels: dict[str, set[str]] = {}
    for sample in scrape(visitor):
        name, _, given = sample.partition("{")
        labels.setdefault(name, set()).update(re.findall(r'(\w+)="', given))
    for file in ("rules.yml", "grafana.json"):
        text = (DEPLOY / "monitoring" / file).read_text().replace('\\"', '"')
        chosen = re.findall(r"(mindsum_\w+)\{([^}]*)\}", text)
        assert chosen
        for name, given in chosen:
            if name in labels:
                assert set(re.findall(r'(\w+)=~?"', given)) <= labels[name], (file, name)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze")
def test_systemd_finds_no_fault_in_a_unit(tmp_path: Path) -> None:
    units = [*(DEPLOY / "systemd").glob("*.service"), *(DEPLOY / "systemd").glob("*.timer")]
    copies = []
    for unit in units:
        # The programs are not on this machine.
        text = re.sub(r"(?m)^(ExecStart=)/opt/mindsum\S+", r"\1/bin/true", unit.read_text())
        copies.append(tmp_path / unit.name)
        copies[-1].write_text(text)
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *copies],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (said.returncode, [line for line in said.stderr.splitlines() if "mindsum" in line]) == (
        0, [],
    )  # fmt: skip
