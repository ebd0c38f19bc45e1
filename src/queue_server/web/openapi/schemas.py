"""JSON schemas (2020-12) of the types that the API reads and shows.

msgspec makes them from the types; here they become what readers of OpenAPI expect: patterns as ECMA-262 writes them, no
`View` in names, a sentence for each member, and the rules that types can't express (`rules.py`).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, cast

import msgspec

from queue_server.domain.command import Command
from queue_server.web.openapi.rules import RULES
from queue_server.web.openapi.types import classes_in, optional_members, sentences_of
from queue_server.web.openapi.words import WORDS

Schema = dict[str, Any]

PREFIX = "#/components/schemas/"
COMMAND: Schema = {"$ref": f"{PREFIX}Command"}
WHAT_IT_IS: Schema = {"description": "What a job runs: an HTTP request, or a command on the server."}
NULL: Schema = {"type": "null"}
_BESIDE_NULL = frozenset({"type", "format", "pattern", "minLength", "maxLength", "minimum", "maximum", "items"}) | {
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minItems",
    "maxItems",
    "maxProperties",
    "additionalProperties",
    "description",
}
"""Keywords that mean nothing for null, so that null can be one more type beside them."""


class Schemas:
    """The schemas of types, and the components that they refer to."""

    def __init__(self, types: Iterable[Any]) -> None:
        wanted: Sequence[Any] = list(dict.fromkeys(types))
        (command, *made), found = msgspec.json.schema_components(
            (Command, *wanted), schema_hook=_hook, ref_template=PREFIX + "{name}"
        )
        classes = classes_in((Command, *wanted))
        components = {public_name(name): _component(classes[name], schema) for name, schema in found.items()}
        self._schemas = {type_: _tidy(schema) for type_, schema in zip(wanted, made, strict=True)}
        components["Command"] = WHAT_IT_IS | _renamed(command)
        self.components: Mapping[str, Schema] = dict(sorted(components.items()))

    def of(self, type_: Any) -> Schema:
        """The schema of one of the types."""
        return dict(self._schemas[type_])


def public_name(name: str) -> str:
    """A type's name in the document."""
    return name.removesuffix("View")


def reference(name: str) -> Schema:
    """A reference to a component, by its public name."""
    return {"$ref": PREFIX + name}


def _hook(type_: type[Any]) -> Schema:
    """Values of any kind are left open; anything else has to have a schema of its own."""
    if type_ is object:
        return {"description": "Any JSON value."}
    raise NotImplementedError(f"{type_!r} has no schema")  # what msgspec expects of a hook that knows nothing


def _component(type_: type[Any], schema: Schema) -> Schema:
    name = public_name(type_.__name__)
    words = {"description": WORDS.get(name) or _plain(schema.get("description", ""))}
    if issubclass(type_, Enum):
        return {"type": "string", **words, "enum": [str(value) for value in type_]}
    tidy: Schema = {**_tidy(schema), **words}
    del tidy["title"]
    optional = optional_members(type_)
    required = [member for member in tidy.pop("required") if member not in optional]
    tidy["properties"] = {
        member: _member(f"{name}/{member}", found, sentences_of(type_)) for member, found in tidy["properties"].items()
    }
    return tidy | ({"required": required} if required else {}) | RULES.get(name, {})


def _member(path: str, schema: Schema, sentences: Mapping[str, str]) -> Schema:
    sentence = WORDS.get(path) or schema.get("description") or sentences.get(path.partition("/")[2])
    rule = RULES.get(path, {})
    kept = {} if "$ref" in rule else schema
    return kept | rule | ({"description": sentence} if sentence else {})


def _plain(docstring: str) -> str:
    """A docstring as one text: its lines joined, its paragraphs kept."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in docstring.split("\n\n"))


def _tidy(schema: Schema) -> Schema:
    """A schema in the words of the document, in all its depth."""
    if _is_command(schema):
        return COMMAND | {key: schema[key] for key in ("description",) if key in schema}
    tidy = {key: _tidy_value(key, value) for key, value in schema.items() if (key, value) != ("default", None)}
    if isinstance(tidy.get("enum"), list) and len(tidy["enum"]) == 1:
        tidy = {"const": tidy.pop("enum")[0]} | tidy
    return _with_null(tidy) if NULL in tidy.get("anyOf", ()) else tidy


def _tidy_value(key: str, value: Any) -> Any:
    match key, value:
        case "properties", _:
            return {name: _tidy(member) for name, member in value.items()}
        case "anyOf", _:
            return [_tidy(option) for option in value]
        case "discriminator" | "$ref", _:
            return _renamed(value)
        case "pattern", _:
            return value.replace(r"\A", "^").replace(r"\Z", "$")
        case _, dict() if key != "default":
            return _tidy(cast("Schema", value))
        case _:
            return value


def _with_null(schema: Schema) -> Schema:
    """The same with null as one of its types, or with nested choices made one."""
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    options: list[Schema] = [option for option in schema["anyOf"] if option != NULL]
    if len(options) == 1 and set(options[0]) == {"anyOf"}:
        options = options[0]["anyOf"]
    if len(options) == 1 and options[0].keys() <= _BESIDE_NULL and isinstance(options[0].get("type"), str):
        return options[0] | {"type": [options[0]["type"], "null"]} | rest
    return {"anyOf": [*options, NULL]} | rest


def _is_command(schema: Schema) -> bool:
    mapping = schema.get("discriminator", {}).get("mapping", {})
    return set(mapping) == {"http", "exec"}


def _renamed(value: Any) -> Any:
    """References by their public names."""
    text = msgspec.json.encode(value).decode()
    return msgspec.json.decode(re.sub(rf'("{PREFIX}\w+?)View"', r'\1"', text))
