"""Kept secrets: putting, listing, rotating and deleting them. Their texts are in no answer but those that make one."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from queue_server.domain.access import Right
from queue_server.domain.errors import InvalidJob, Problem
from queue_server.domain.instants import rfc3339
from queue_server.domain.reading import read_as
from queue_server.domain.retry import YEAR_S
from queue_server.domain.secret import MASK, KeptSecret, SecretName
from queue_server.operations.secrets import Made, Secrets
from queue_server.vault.kept import DEFAULT_SIGNING
from queue_server.web.access.auditing import note
from queue_server.web.answers import JsonResponse
from queue_server.web.body import read_body
from queue_server.web.endpoint import Answer, Content, Endpoint
from queue_server.web.v1.views import Time

OVERLAP_S = 86_400.0
NO_STORE = {"Cache-Control": "no-store"}
TAG = "secrets"
ONCE = "The signing secret, with its text in `secret`: it is shown this once and can't be found out again."

KindOf = Annotated[
    Literal["value", "signing"], Meta(description="`value` is put into jobs by its name, `signing` signs requests.")
]
Value = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=65_536,
        description="The text. That of a signing secret is `whsec_` and 24 to 64 bytes in base64.",
        extra={"expected": "a text of 1 to 65536 characters"},
    ),
]
Overlap = Annotated[
    float,
    Meta(
        ge=0,
        le=YEAR_S,
        description="Seconds for which the secret before goes on signing as well; 0 ends it at once.",
        extra={"expected": f"seconds, from 0 to {YEAR_S} (a year)"},
    ),
]


class KeptSecretView(msgspec.Struct, frozen=True, kw_only=True):
    """A kept secret, of which only its name is ever shown."""

    name: Annotated[str, Meta(description="Its name.")]
    kind: KindOf
    created_at: Annotated[Time, Meta(description="When this text was given.")]
    until: Annotated[Time | None, Meta(description="Until when it signs; null while no newer one has replaced it.")]


class NewSecretView(KeptSecretView, frozen=True, kw_only=True):
    """A signing secret that has just been made."""

    secret: Annotated[str, Meta(description="The text, for those who check signatures; shown this once.")]

    def __repr__(self) -> str:
        return f"NewSecretView({self.name})"


class KeptSecretsView(msgspec.Struct, frozen=True):
    """Kept secrets."""

    items: Annotated[list[KeptSecretView], Meta(description="By name, those of a name oldest first.")]


class PutSecretBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A secret to keep."""

    value: Value
    kind: KindOf = "value"

    def __repr__(self) -> str:
        return f"PutSecretBody({MASK})"


class CreateSecretBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A signing secret to make."""

    name: Annotated[SecretName, Meta(description="Its name. The one called `default` signs all requests.")] = (
        DEFAULT_SIGNING
    )


class RotateSecretBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a signing secret is replaced."""

    overlap: Overlap = OVERLAP_S


class RekeyView(msgspec.Struct, frozen=True):
    """What was sealed anew."""

    resealed: Annotated[int, Meta(description="How many secrets.")]
    key_id: Annotated[str, Meta(description="The id of the key that sealed them.")]


class ApiSecrets:
    """Requests for kept secrets."""

    def __init__(self, secrets: Secrets, max_body: int) -> None:
        self._secrets = secrets
        self._max_body = max_body

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """What can be asked here."""
        return (
            Endpoint(
                method="GET",
                path="/v1/secrets",
                scope=Right.ADMIN,
                handler=self.list,
                tag=TAG,
                operation_id="listSecrets",
                summary="List secrets",
                answers={200: Answer("The secrets, without their texts.", Content(KeptSecretsView))},
                errors=(503,),
            ),
            Endpoint(
                method="POST",
                path="/v1/secrets",
                scope=Right.ADMIN,
                handler=self.create,
                tag=TAG,
                operation_id="createSigningSecret",
                summary="Make a signing secret",
                description="From then on all requests that jobs send are signed as https://www.standardwebhooks.com "
                "has it.",
                body=(Content(CreateSecretBody),),
                is_body_required=False,
                answers={201: Answer(ONCE, Content(NewSecretView))},
                errors=(400, 408, 409, 413, 503),
            ),
            Endpoint(
                method="PUT",
                path="/v1/secrets/{secret_name}",
                scope=Right.ADMIN,
                handler=self.put,
                tag=TAG,
                operation_id="putSecret",
                summary="Keep a secret",
                description='Jobs have it by its name: `{"secret_ref": "api", "prefix": "Bearer "}`. What the '
                "name stood for before is gone at once, for jobs that wait as well.",
                body=(Content(PutSecretBody),),
                answers={
                    200: Answer("It replaces the one that was there.", Content(KeptSecretView)),
                    201: Answer("It is kept.", Content(KeptSecretView)),
                },
                errors=(400, 408, 409, 413, 503),
            ),
            Endpoint(
                method="DELETE",
                path="/v1/secrets/{secret_name}",
                scope=Right.ADMIN,
                handler=self.delete,
                tag=TAG,
                operation_id="deleteSecret",
                summary="Forget a secret",
                description="Jobs that have it by its name fail from then on.",
                answers={204: Answer("It is gone.")},
                errors=(404, 503),
            ),
            Endpoint(
                method="POST",
                path="/v1/secrets/{secret_name}/rotate",
                scope=Right.ADMIN,
                handler=self.rotate,
                tag=TAG,
                operation_id="rotateSecret",
                summary="Replace a signing secret",
                description="For the overlap requests carry the signatures of both.",
                body=(Content(RotateSecretBody),),
                is_body_required=False,
                answers={200: Answer(ONCE, Content(NewSecretView))},
                errors=(400, 404, 408, 413, 503),
            ),
            Endpoint(
                method="POST",
                path="/v1/secrets:rekey",
                scope=Right.ADMIN,
                handler=self.rekey,
                tag=TAG,
                operation_id="rekeySecrets",
                summary="Seal all kept secrets with the newest key",
                description="Those that are written in jobs stay sealed with the key that they were sealed with.",
                answers={200: Answer("They are sealed anew.", Content(RekeyView))},
                errors=(503,),
            ),
        )

    async def list(self, _request: Request) -> Response:
        """All secrets."""
        return JsonResponse(KeptSecretsView([_view(secret) for secret in await self._secrets.list()]))

    async def create(self, request: Request) -> Response:
        """Make a signing secret."""
        body = read_as(await self._body(request) or b"{}", CreateSecretBody)
        made = await self._secrets.create_signing(body.name)
        note(request, target=f"/v1/secrets/{body.name}")
        return _once(made, 201)

    async def put(self, request: Request) -> Response:
        """Keep a secret."""
        body = read_as(await self._body(request), PutSecretBody)
        secret, is_new = await self._secrets.put(_new_name(request), body.value, body.kind)
        return JsonResponse(_view(secret), 201 if is_new else 200)

    async def delete(self, request: Request) -> Response:
        """Forget a secret."""
        if not await self._secrets.delete(request.path_params["secret_name"]):
            raise _no_such_secret(request)
        return Response(status_code=204)

    async def rotate(self, request: Request) -> Response:
        """Replace a signing secret."""
        body = read_as(await self._body(request) or b"{}", RotateSecretBody)
        made = await self._secrets.rotate(request.path_params["secret_name"], body.overlap)
        if made is None:
            raise _no_such_secret(request, "signing secret")
        return _once(made, 200)

    async def rekey(self, _request: Request) -> Response:
        """Seal all anew."""
        return JsonResponse(RekeyView(*await self._secrets.rekey()))

    async def _body(self, request: Request) -> bytes:
        return await read_body(request.scope, request.receive, self._max_body)


def _view(secret: KeptSecret) -> KeptSecretView:
    return KeptSecretView(
        name=secret.name,
        kind=secret.kind,
        created_at=str(rfc3339(secret.created_at)),
        until=rfc3339(secret.until),
    )


def _once(made: Made, status: int) -> Response:
    view = _view(made.secret)
    shown = NewSecretView(name=view.name, kind=view.kind, created_at=view.created_at, until=None, secret=made.text)
    return JsonResponse(shown, status, NO_STORE)


def _new_name(request: Request) -> str:
    try:
        return msgspec.convert(request.path_params["secret_name"], SecretName)
    except msgspec.ValidationError:
        rule = "in the path must be 1 to 64 of letters, digits and the characters . _ -"
        raise InvalidJob([Problem("/name", rule)]) from None


def _no_such_secret(request: Request, what: str = "secret") -> HTTPException:
    return HTTPException(404, f"There is no {what} {request.path_params['secret_name']}")
