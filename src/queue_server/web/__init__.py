"""The HTTP interface.

app.py         all requests, and the application that answers them
endpoint.py    how a request is declared
routing.py     from declarations to the application that takes each request where it belongs
openapi/       from declarations to the OpenAPI document and its page (docs_page/)
parameters.py  query parameters as structs
presence.py    noticing that a client has gone
pieces.py      reading a large body as it arrives
byte_range.py  the header Range
idempotency.py the header Idempotency-Key
body.py        reading a request's body within its limits
protocol.py    a connection: limits for heads, answers to what is no HTTP
answers.py     JSON answers and raw ASGI sending
errors.py      one translation of errors to answers, in the two styles of the two APIs
classic.py     the first API: /, /jobs/add, /jobs/status, /jobs/get
service.py     /healthz, /readyz
v1/            the API under /v1
"""
