"""From the pieces of a body to the jobs of a batch.

The jobs are taken out of the body while it arrives, so that it is never in memory as a whole:

    reader = BatchReader(job_limit)
    for each piece:  reader.feed(piece);  for jobs in reader.read(): …
    at the end:      reader.finish();     for jobs in reader.read(): …;  reader.check()
"""

from collections.abc import Iterator, Sequence

import msgspec

from queue_server.domain.batch_forms import BLANKS, ArrayForm, BrokenForm, Element, Form, LinesForm, Pending
from queue_server.domain.checks import problems_of
from queue_server.domain.errors import PROBLEMS_LIMIT, InvalidJob, Problem, QueueServerError
from queue_server.domain.job import JobRequest
from queue_server.domain.reading import read_request

JOBS_LIMIT = 10_000
BLOCK = 32 * 1024
"""Bytes of whole jobs that are decoded at once: reading them takes a millisecond or two."""

PATIENCE = 4 * BLOCK
"""So much without a place to guess at is awaited before the jobs are looked for one by one."""

EXAMPLE = 'send a JSON array of jobs, [{"command":…},…], or one job a line (NDJSON)'
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class BatchTooLarge(QueueServerError):
    """The batch has more jobs, or a larger one, than is taken."""


class BatchReader:
    """Takes a batch apart while it arrives. `job_limit` is how many bytes one job may have.

    `count` is how many jobs have been found so far, good and bad.
    """

    def __init__(self, job_limit: int) -> None:
        self.count = 0
        self._job_limit = job_limit
        self._patience = min(PATIENCE, job_limit)
        self._data = bytearray()
        self._at = 0
        self._exact_until = 0
        self._is_all = False
        self._form: Form | None = None
        self._is_broken = False
        self._problems: list[Problem] = []
        self._more_problems = 0

    def feed(self, piece: bytes) -> None:
        """Take the next piece of the body."""
        self._data += piece

    def finish(self) -> None:
        """The body is complete."""
        self._is_all = True

    @property
    def is_bad(self) -> bool:
        """Whether something was wrong: then `read` only looks for more of it, and `check` will raise it."""
        return bool(self._problems)

    def read(self) -> Iterator[Sequence[JobRequest]]:
        """The jobs that have arrived, in order, some at a time. Between any two others may have a turn.

        BatchTooLarge if there are more than JOBS_LIMIT or one is larger than its limit. What else is wrong is kept for
        `check`; a bad job is left out.
        """
        while (jobs := self._next()) is not None:
            if self.count > JOBS_LIMIT:
                raise BatchTooLarge(f"the batch has more than {JOBS_LIMIT} jobs; send them in several batches")
            yield jobs
        if len(self._data) - self._at > self._job_limit + BLOCK:  # in between, the whole job will tell
            raise self._too_large()
        del self._data[: self._at]
        self._exact_until -= self._at
        self._at = 0

    def check(self) -> None:
        """InvalidJob with what is wrong with the batch: PROBLEMS_LIMIT problems, and one that counts the others."""
        if self._is_all and not self.count and not self._problems:
            self._complain(Problem("", f"the batch is empty; {EXAMPLE}"))
        if self._more_problems:
            raise InvalidJob([*self._problems, Problem("", f"{self._more_problems} more problems are not listed")])
        if self._problems:
            raise InvalidJob(self._problems)

    def _next(self) -> Sequence[JobRequest] | None:
        """The next jobs; none where one was bad or is still looked for; None if more has to arrive."""
        form = self._form or self._find_form()
        if form is None or self._is_broken:
            self._at = len(self._data) if self._is_broken else self._at
            return None
        if form.is_over:
            return self._pass_rest()
        if self._at >= self._exact_until:
            if (jobs := self._read_block(form)) is not None:
                return jobs
            if self._at >= self._exact_until and not self._is_all and len(self._data) - self._at < self._patience:
                return None
        return self._read_element(form)

    def _find_form(self) -> Form | None:
        """An array begins with a bracket, a job on a line of its own with a brace."""
        if not self._is_all and len(self._data) < len(_BYTE_ORDER_MARK):
            return None
        start = len(_BYTE_ORDER_MARK) if self._data.startswith(_BYTE_ORDER_MARK) else 0
        text = self._data[start:].lstrip(BLANKS)
        if not text:
            return None
        self._at = len(self._data) - len(text)
        block_limit = min(BLOCK, self._job_limit)
        if text.startswith(b"["):
            self._at += 1
            self._form = ArrayForm(block_limit)
        else:
            self._form = LinesForm(block_limit, 1 + self._data.count(b"\n", 0, self._at))
            if not text.startswith(b"{"):
                self._break("", f"is no batch; {EXAMPLE}")
        return self._form

    def _read_block(self, form: Form) -> Sequence[JobRequest] | None:
        """All jobs of a block at once; None where there is none, or where it has to be looked at job by job."""
        block = form.guess(self._data, self._at, is_all=self._is_all)
        if block is None or block.end - self._at > self._job_limit:
            return None
        text = bytes(self._data[self._at : block.end])
        try:
            str(text, "utf-8")  # `json` is kept raw, where the decoder does not look at the encoding
            jobs = form.decode(text)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            self._exact_until = block.next
            return None
        line = form.accept(block, len(jobs))
        self._at = block.next
        return self._sound(jobs, line)

    def _sound(self, jobs: Sequence[JobRequest], line: int | None) -> Sequence[JobRequest]:
        first = self.count
        self.count += len(jobs)
        wrong = [(place, found) for place, job in enumerate(jobs) if (found := problems_of(job))]
        for place, problems in wrong:
            self._complain_of_job(first + place, problems, None if line is None else line + place)
        return () if wrong else jobs

    def _read_element(self, form: Form) -> Sequence[JobRequest] | None:
        try:
            element = form.next_element(self._data, self._at, is_all=self._is_all)
        except BrokenForm as error:
            self._break(f"/{self.count}", str(error))
            return None
        if isinstance(element, Pending):
            self._exact_until = max(self._exact_until, self._at + 1)
            return () if element is Pending.SEARCHING else None
        self._at = element.next
        return self._read_job(element) if element.text else ()

    def _read_job(self, element: Element) -> Sequence[JobRequest]:
        if len(element.text) > self._job_limit:
            raise self._too_large()
        self.count += 1
        try:
            return (read_request(element.text),)
        except InvalidJob as error:
            self._complain_of_job(self.count - 1, error.problems, element.line)
            return ()

    def _pass_rest(self) -> None:
        rest = self._data[self._at :].strip(BLANKS)
        self._at = len(self._data)
        if rest:
            self._break("", "has something behind the closing ]")

    def _break(self, path: str, message: str) -> None:
        """Nothing can be read from here on."""
        self._is_broken = True
        self._complain(Problem(path, f"the batch {message}"))

    def _complain_of_job(self, place: int, problems: Sequence[Problem], line: int | None) -> None:
        where = "" if line is None else f" (line {line})"
        for problem in problems:
            message = problem.message.removeprefix("the body ")
            self._complain(Problem(f"/{place}{problem.path}", message + where))

    def _complain(self, problem: Problem) -> None:
        if len(self._problems) < PROBLEMS_LIMIT:
            self._problems.append(problem)
        else:
            self._more_problems += 1

    def _too_large(self) -> BatchTooLarge:
        return BatchTooLarge(f"job {self.count} of the batch is larger than {self._job_limit} bytes (setting max_body)")
