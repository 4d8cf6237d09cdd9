"""`make recipes`: plays the main job through each recipe, and prints a table."""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.harness.processes import ROOT
from tests.recipes import recipes
from tests.recipes.recipes import Recipe

NOT_HERE = {
    "image": "docker build and compose up: there is no container engine",
    "caddy": "TLS in front: there is no Caddy",
    "platforms": "Heroku, Render, Fly: those are other people's machines",
    "litestream": "there is no Litestream",
}


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="mindsum-recipes-") as folder:
        programs = installed(Path(folder))
        rows = [
            (name, *outcome(recipe, Path(folder, name), programs))
            for name, recipe in recipes.ALL.items()
        ]
    table = [f"{name:12} {took_s:6.1f} s  {result}\n" for name, result, took_s in rows]
    table += [f"{name:12}           not run: {why}\n" for name, why in NOT_HERE.items()]
    sys.stdout.writelines(table)
    return 0 if all(result == "ok" for _, result, _ in rows) else 1


def installed(folder: Path) -> Path:
    """The programs of an empty virtual environment in which our wheel was installed."""
    build = [sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", folder, ROOT], check=True)
    shutil.rmtree(ROOT / "build", ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    [wheel] = folder.glob("*.whl")
    programs = folder / "venv" / "bin"
    install = [programs / "pip", "--disable-pip-version-check", "install", "-qq"]
    subprocess.run([*install, wheel], check=True)
    shutil.copy(ROOT / "deploy" / "make-secrets", programs / "make-secrets")
    return programs


def outcome(recipe: Recipe, folder: Path, programs: Path) -> tuple[str, float]:
    folder.mkdir()
    began = time.monotonic()
    try:
        recipe(folder, programs)
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        notes = "\n".join(getattr(error, "__notes__", ()))
        return f"FAILED: {error}\n{notes}", time.monotonic() - began
    return "ok", time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
