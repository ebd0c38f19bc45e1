"""What is said about a setting that can't be used: one line that names it, its origin, and what is right."""

import difflib
from collections.abc import Iterable

from queue_server.config.catalog import Setting
from queue_server.config.masking import mask_passwords
from queue_server.config.origin import Given, Origin
from queue_server.domain.errors import InvalidSetting


def not_allowed(setting: Setting, given: Given) -> InvalidSetting:
    """The setting exists, its value is not allowed."""
    shown = mask_passwords(repr(given.value))
    shown = shown if len(shown) <= 80 else f"{shown[:79]}…"
    hint = _kubernetes_hint(given) or did_you_mean(str(given.value), setting.choices)
    return InvalidSetting(f"setting {setting.name} from {given.origin}: {shown} is not {setting.allowed}{hint}")


def unknown(given: Given, known: Iterable[str]) -> InvalidSetting:
    """There is no such setting. `known` holds the names as they are written at that origin."""
    name, where = given.name, f" in {given.origin}"
    if given.origin.kind != "file":
        name, where = given.origin.place, " in the environment" if given.origin.kind == "variable" else ""
    hint = _kubernetes_hint(given) or did_you_mean(name, known) or "; `queue-server config show` lists them all"
    return InvalidSetting(f"unknown setting {name}{where}{hint}")


def unreadable(what: str, origin: Origin, path: str, error: OSError | UnicodeDecodeError) -> InvalidSetting:
    """A file that should hold a value or the settings can't be read."""
    reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
    return InvalidSetting(f"{what} from {origin}: can't read {path}: {reason}")


def given_twice(first: Origin, second: Origin, name: str) -> InvalidSetting:
    """Two origins of the same rank name a value."""
    return InvalidSetting(f"setting {name} is given by both {first} and {second}; set only one of them")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint at the known word that is most like this one, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _kubernetes_hint(given: Given) -> str:
    """Kubernetes sets QUEUE_SERVER_PORT=tcp://… and more in every pod beside a Service named queue-server."""
    is_link = given.origin.place.startswith(("QUEUE_SERVER_SERVICE_", "QUEUE_SERVER_PORT"))
    if given.origin.kind != "variable" or not (is_link and _looks_linked(given)):
        return ""
    return "; Kubernetes sets it for a Service named queue-server: set enableServiceLinks: false in the pod"


def _looks_linked(given: Given) -> bool:
    return str(given.value).startswith(("tcp://", "udp://")) or given.name.startswith(("service_", "port_"))
