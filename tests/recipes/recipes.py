"""Each recipe: how the product is started there, as its files say."""

import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import yaml

from tests.harness.postgresql_server import own_server
from tests.harness.processes import ROOT
from tests.harness.smtp_server import LOOPBACK, MailServer, unused_port
from tests.recipes import upgrade
from tests.recipes.job import in_maildir, play, received
from tests.recipes.running import ADD_ASHA, Place, changed, deploy, local

# A folder of its own, and the programs of an installed wheel.
Recipe = Callable[[Path, Path], None]


def wheel(folder: Path, programs: Path) -> None:
    """`pip install` in an empty environment, then `mindsum demo`."""
    port = unused_port()
    place = Place(folder, programs, {})
    demo = ["mindsum", "demo", "--empty", "--port", str(port), "--data", str(folder / "demo")]
    with place.started(demo):
        play(f"http://{LOOPBACK}:{port}", in_maildir(folder / "demo" / "mail"))


def procfile(folder: Path, _programs: Path) -> None:
    """The processes of the Procfile, from a checkout, as `make run` starts them."""
    port = unused_port()
    with MailServer() as mail:
        database = {"DATABASE_URL": f"sqlite:///{folder / 'mindsum.db'}"}
        place = Place(folder, ROOT / ".venv" / "bin", {**local(port, mail.port), **database})
        lines = re.findall(r"(?m)^(\w+): (.+)$", (ROOT / "Procfile").read_text())
        commands = {name: shlex.split(command) for name, command in lines}
        place.run(commands.pop("release"), cwd=ROOT)
        place.run(ADD_ASHA, cwd=ROOT)
        started = ["honcho", "-e", "/dev/null", "start", "--port", str(port), "web", "scheduler"]
        with place.started(started, cwd=ROOT):
            play(f"http://{LOOPBACK}:{port}", received(mail))


def units(folder: Path, programs: Path) -> None:
    """The commands of the systemd units, with the folders that are here."""

    def commands(unit: str) -> list[list[str]]:
        text = deploy(f"systemd/mindsum-{unit}.service").read_text()
        found = re.findall(r"(?m)^ExecStart(?:Post)?=(.+)$", text)
        here = (each.replace("/opt/mindsum/bin", str(programs)) for each in found)
        return [shlex.split(each.replace("%%", "%")) for each in here]

    port = unused_port()
    with MailServer() as mail:
        database = {"DATABASE_URL": f"sqlite:///{folder / 'mindsum.db'}"}
        filled = changed(deploy("systemd/env.example"), local(port, mail.port) | database)
        place = Place(folder, programs, {"STATE_DIRECTORY": str(folder)})
        (folder / ".env").write_text(f"{filled}\n{new_keys()}")
        [release] = commands("release")
        place.run(release)
        place.run(ADD_ASHA)
        with place.started(*commands("web"), *commands("scheduler")):
            play(f"http://{LOOPBACK}:{port}", received(mail))
            for command in commands("backup"):
                place.run(command)
    assert list(folder.glob("backup-*.db")), "the backup's unit wrote none"


def compose(folder: Path, programs: Path) -> None:
    """The commands of compose.yaml without containers, on PostgreSQL."""
    described = yaml.safe_load(deploy("docker/compose.yaml").read_text())
    services = described["services"]
    port = unused_port()
    with MailServer() as mail, own_server() as server:
        subprocess.run(
            ["psql", "--quiet", server.url, "--command", "CREATE ROLE mindsum LOGIN",
             "--command", "CREATE DATABASE mindsum OWNER mindsum"],
            check=True,
        )  # fmt: skip
        example = changed(deploy("docker/site.env.example"), local(port, mail.port))
        lines = (line.split("=", 1) for line in example.splitlines() if re.match(r"[A-Z]", line))
        variables = {**described["x-product"]["environment"], **dict(lines)}
        socket = quote(re.search(r"host=([^&]+)", server.url)[1], safe="")  # type: ignore[index]
        first = {"SECRETS_DIR": str(folder), "DATABASE_DIR": str(folder), "DATABASE_HOST": socket}
        place = Place(folder, programs, {**variables, **first})
        assert services["secrets"]["command"] == ["sh", "/first-start"]
        for _ in range(2):
            # A second start leaves keys and password as they are.
            place.run(["sh", str(deploy("docker/first-start"))])
        place.run(services["release"]["command"])
        place.run(ADD_ASHA)
        with place.started(services["web"]["command"], services["scheduler"]["command"]):
            play(f"http://{LOOPBACK}:{port}", received(mail))


def new_keys() -> str:
    made = subprocess.run([deploy("make-secrets")], capture_output=True, text=True, check=True)
    return made.stdout


ALL: dict[str, Recipe] = {
    "wheel": wheel,
    "procfile": procfile,
    "units": units,
    "compose": compose,
    "upgrade": upgrade.on_sqlite,
    "upgrade-pg": upgrade.on_postgresql,
}
