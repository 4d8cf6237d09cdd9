"""The addresses of answers to forms, opened again: each leads back to a page."""

from typing import Any

from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue


def lead_back(blueprint: Blueprint, page: str, *paths: str) -> None:
    """A GET of `paths` redirects to the endpoint `page`, with the values that the address names."""

    def show_again(**values: Any) -> ResponseReturnValue:
        return redirect(url_for(page, **values))

    for path in paths:
        blueprint.add_url_rule(path, f"{page.rpartition('.')[2]}_again", show_again)
