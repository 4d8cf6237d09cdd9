"""Processes of a recipe: started as its file says, ended with it."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.harness.processes import ROOT
from tests.harness.smtp_server import LOOPBACK
from tests.harness.waiting import PATIENCE_S

ADD_ASHA = (
    "mindsum", "therapist", "add", "--slug", "asha", "--name", "Asha",
    "--email", "asha@therapists.example", "--timezone", "Europe/London", "--rate", "60.00",
    "--available", "Mon-Sun 09:00-17:00",
)  # fmt: skip


class Place:
    """A folder, a `PATH` and variables for the commands of one recipe."""

    def __init__(self, folder: Path, programs: Path, variables: Mapping[str, str]) -> None:
        self.folder = folder
        self._log = folder / "recipe.log"
        self._environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            **variables,
        }

    def run(self, command: Sequence[str], cwd: Path | None = None) -> None:
        """AssertionError, with what it printed, if the command fails."""
        done = subprocess.run(
            self._found(command),
            cwd=cwd or self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=10 * PATIENCE_S,
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"

    @contextmanager
    def started(self, *commands: Sequence[str], cwd: Path | None = None) -> Iterator[None]:
        with ExitStack() as at_end, self._log.open("ab") as log:
            for command in commands:
                process = subprocess.Popen(
                    self._found(command),
                    cwd=cwd or self.folder,
                    env=self._environment,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                at_end.callback(_end, process)
            try:
                yield
            except (AssertionError, OSError) as error:
                error.add_note(self._log.read_text(errors="replace")[-3000:])
                raise

    def _found(self, command: Sequence[str]) -> list[str]:
        # subprocess looks for a program on our own PATH.
        folders = self._environment["PATH"].split(":")
        places = [Path(each, command[0]) for each in folders]
        found = next((each for each in places if each.is_file()), Path(command[0]))
        return [str(found), *command[1:]]


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(PATIENCE_S)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def changed(example: Path, values: Mapping[str, str]) -> str:
    """An example of settings, filled in: each of `values` replaces the line of its name."""
    text = example.read_text()
    for name, value in values.items():
        text, count = re.subn(rf"(?m)^{name}=.*$", f"{name}={value}", text)
        if not count:
            text += f"{name}={value}\n"
    return text


def local(port: int, mail_port: int) -> dict[str, str]:
    """What a site of this machine has instead of a domain and a mail provider."""
    return {
        "PUBLIC_URL": f"http://{LOOPBACK}:{port}",
        "BIND": LOOPBACK,
        "PORT": str(port),
        "TRUSTED_PROXIES": "0",
        "MAIL_SERVER": LOOPBACK,
        "MAIL_PORT": str(mail_port),
        "MAIL_USE_TLS": "false",
        "MAIL_USERNAME": "",
        "MAIL_PASSWORD": "",
        "WEB_CONCURRENCY": "1",
        # A program presses at once, as a mail scanner does.
        "PRESS_GUARD": "false",
    }


def deploy(path: str) -> Path:
    return ROOT / "deploy" / path
