"""`--set`: a change of a job as a JSON merge patch (RFC 7396)."""

from typing import Any

import click
import msgspec

PATCH_HELP = """Changes as JSON, such as '{"priority": 900, "key": null}'; null takes a member away."""


class Patch(click.ParamType[dict[str, Any]]):
    """A JSON object. Its values stay as they were written, so that numbers keep their digits."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        """The members, or a usage error."""
        if isinstance(value, dict):
            return value  # pyright: ignore[reportUnknownVariableType] (click converts once more)
        try:
            return msgspec.json.decode(value, type=dict[str, msgspec.Raw])
        except msgspec.ValidationError:
            self.fail("must be a JSON object.", param, ctx)
        except msgspec.DecodeError as error:
            self.fail(f"is not JSON: {str(error).removeprefix('JSON is malformed: ')}.", param, ctx)


PATCH = Patch()
