"""Runs PHP that uses the client, as a program of its own."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "clients" / "php"
CLIENT = FOLDER / "QueueServer.php"
STRICT = ("-d", "error_reporting=-1", "-d", "display_errors=stderr", "-d", "zend.assertions=1", "-d", "log_errors=0")

FRAME = """<?php
declare(strict_types=1);
use QueueServer\\{Client, Handler};
set_error_handler(static function (int $level, string $message, string $file, int $line): bool {
    return (error_reporting() & $level) ? throw new ErrorException($message, 0, $level, $file, $line) : true;
});
require_once %(client)s;
$in = json_decode((string) stream_get_contents(STDIN), true, 512, JSON_THROW_ON_ERROR);
try {
    $queue = new Client(...$in['client']);
    $answer = ['result' => (static function (Client $queue, array $in): mixed {
        %(code)s
        return null;
    })($queue, $in)];
} catch (QueueServer\\QueueServerException | InvalidArgumentException | ArgumentCountError $error) {
    $known = ['kind' => basename(strtr($error::class, '\\\\', '/')), 'message' => $error->getMessage()];
    $answer = ['thrown' => $known, 'properties' => (object) get_object_vars($error)];
}
echo json_encode($answer, JSON_THROW_ON_ERROR | JSON_PRESERVE_ZERO_FRACTION);
"""


@dataclass
class Thrown(Exception):
    """What the PHP code threw, by its class' name, and the public properties that it has."""

    kind: str
    message: str
    properties: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


class Php:
    """Runs code with `$queue`, a client of the server at `url`, and `$in`, the values that come with the call."""

    def __init__(self, folder: Path, url: str, **options: Any) -> None:
        self._folder = folder
        self._client = {"url": url, **options}

    def __call__(self, code: str, **values: Any) -> Any:
        """What the code returns; Thrown for an exception of the client, AssertionError for anything else."""
        script = self._folder / "script.php"
        script.write_text(FRAME % {"client": json.dumps(str(CLIENT)), "code": code})
        given = json.dumps({"client": self._client, **values})
        done = run(script, given=given)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr + done.stdout
        answer = json.loads(done.stdout)
        if "thrown" in answer:
            raise Thrown(**answer["thrown"], properties=answer["properties"])
        return answer["result"]


def run(
    script: Path,
    *flags: str,
    arguments: Sequence[str] = (),
    given: str = "",
    environ: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a script with every warning shown on stderr."""
    return subprocess.run(
        ["php", *STRICT, *flags, str(script), *arguments],
        input=given,
        capture_output=True,
        text=True,
        timeout=100,
        env=environ,
        check=False,
    )
