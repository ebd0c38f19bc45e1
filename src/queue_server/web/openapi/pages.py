"""/v1/openapi.json and /docs: the document, and a page that shows it without asking anybody else for anything.

The page is Swagger UI (`web/docs_page/swagger-ui/VERSION`). What is sent is checked by the client each time it is used
(ETag), so that a new version of the server is never seen through an old page.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from importlib.resources import files
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from queue_server.web import docs_page
from queue_server.web.answers import JSON
from queue_server.web.endpoint import Answer, Content, Endpoint, Handler
from queue_server.web.etags import names_tag
from queue_server.web.openapi.document import encoded

TAG = "documentation"
HTML = "text/html"
ANY = "*/*"
SECURITY: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""Swagger UI's stylesheet has its pictures as data URLs."""

FILES: Mapping[str, tuple[str, str]] = {
    "page.js": ("page.js", "text/javascript"),
    "page.css": ("page.css", "text/css"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
    "swagger-ui-bundle.js": ("swagger-ui/swagger-ui-bundle.js", "text/javascript"),
    "swagger-ui.css": ("swagger-ui/swagger-ui.css", "text/css"),
}
"""What the page consists of: name in the URL, path in web/docs_page, media type."""

VERSION = {"ETag": "Names this version of it."}


class Page(msgspec.Struct, frozen=True):
    """Something to send, and the ETag that names it."""

    body: bytes
    media_type: str
    tag: str


class Pages:
    """The document of `others` and of its own requests, made once; and the page that shows it."""

    def __init__(self, others: Iterable[Endpoint]) -> None:
        self.endpoints: Sequence[Endpoint] = (
            _declared("/v1/openapi.json", self.openapi, "This document", "getOpenApi", Content(dict[str, Any])),
            _declared("/docs", self.docs, "A page that shows this document", "getDocs", Content(None, HTML)),
            _declared(
                "/docs/{file}", self.file, "The files of that page", "getDocsFile", Content(None, ANY), errors=(404,)
            ),
        )
        self.document = encoded((*others, *self.endpoints))
        self._document = _page(self.document, JSON)
        self._pages: dict[str, Page] = {}

    async def openapi(self, request: Request) -> Response:
        """The document."""
        return _answer(request, self._document)

    async def docs(self, request: Request) -> Response:
        """The page."""
        return _answer(request, self._file("index.html", HTML))

    async def file(self, request: Request) -> Response:
        """A file that the page needs."""
        name = request.path_params["file"]
        if name not in FILES:
            raise HTTPException(404, f"There is nothing at {request.url.path}")
        return _answer(request, self._file(*FILES[name]))

    def _file(self, path: str, media_type: str) -> Page:
        """A file, read when it is first asked for: most servers are never asked."""
        if path not in self._pages:
            self._pages[path] = _page(files(docs_page).joinpath(path).read_bytes(), media_type)
        return self._pages[path]


def _declared(  # noqa: PLR0917 (as they read)
    path: str, handler: Handler, summary: str, operation_id: str, content: Content, errors: tuple[int, ...] = ()
) -> Endpoint:
    return Endpoint(
        method="GET",
        path=path,
        scope=None,
        handler=handler,
        tag=TAG,
        summary=summary,
        operation_id=operation_id,
        headers={"If-None-Match": "An ETag: 304 while it is still that version."},
        answers={
            200: Answer("It.", content, VERSION),
            304: Answer("It is still the version of If-None-Match.", headers=VERSION),
        },
        errors=errors,
    )


def _page(body: bytes, media_type: str) -> Page:
    return Page(body, media_type, f'"{blake2b(body, digest_size=12).hexdigest()}"')


def _answer(request: Request, page: Page) -> Response:
    headers = {"ETag": page.tag, "Cache-Control": "no-cache", **SECURITY}
    if names_tag(request.headers.get("if-none-match", ""), page.tag):
        return Response(status_code=304, headers=headers)
    return Response(page.body, headers=headers, media_type=page.media_type)
