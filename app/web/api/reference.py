"""The description of the API as a page for people, without scripts."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import render_template

from app.web.api import openapi

Schema = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A parameter or a field."""

    name: str
    kind: str
    is_required: bool
    description: str = ""
    is_deprecated: bool = False


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    summary: str
    parameters: list[Row]
    body: str
    # Status, what comes back in words, the name of its schema.
    responses: list[tuple[str, str, str]]

    @property
    def anchor(self) -> str:
        return f"{self.method}{self.path}".replace("/", "-").translate(str.maketrans("", "", "{}"))


def page(public_url: str) -> str:
    described = json.loads(openapi.document(public_url))
    schemas = described["components"]["schemas"]
    return render_template(
        "api/reference.html",
        introduction=described["info"]["description"],
        operations=list(_operations(described["paths"])),
        schemas={name: (_words(each), _fields(each)) for name, each in schemas.items()},
    )


def kind_of(schema: Schema) -> str:
    """A schema in a few words: `list of integer, or null`."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for join in ("anyOf", "oneOf", "allOf"):
        if join in schema:
            return ", or ".join(kind_of(each) for each in schema[join])
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {kind_of(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or schema.get("const", "anything"))


def _operations(paths: dict[str, dict[str, Schema]]) -> Iterator[Operation]:
    for path, methods in paths.items():
        for method, found in methods.items():
            content = found.get("requestBody", {}).get("content", {})
            yield Operation(
                method=method.upper(),
                path=path,
                summary=found["summary"],
                parameters=[_parameter(each) for each in found.get("parameters", ())],
                body=_content(content),
                responses=[
                    (status, each["description"], _content(each.get("content", {})))
                    for status, each in sorted(found["responses"].items())
                ],
            )


def _parameter(found: Schema) -> Row:
    kind = f"{kind_of(found['schema'])}, in {found['in']}"
    return Row(found["name"], kind, bool(found.get("required")), found.get("description", ""))


def _content(content: dict[str, Schema]) -> str:
    return next((kind_of(each["schema"]) for each in content.values()), "")


def _words(schema: Schema) -> str:
    return str(schema.get("description") or ("" if "properties" in schema else kind_of(schema)))


def _fields(schema: Schema) -> list[Row]:
    required = schema.get("required", ())
    return [
        Row(
            name,
            kind_of(each),
            name in required,
            each.get("description", ""),
            bool(each.get("deprecated")),
        )
        for name, each in schema.get("properties", {}).items()
    ]
