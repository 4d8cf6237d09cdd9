"""A Flask application whose page does nothing: what pages are compared with."""

from functools import cache

from flask import Flask

app = Flask(__name__)


@cache
def _page(size: int) -> str:
    return "x" * size


@app.get("/<int:size>")
def page(size: int) -> str:
    return _page(size)
