"""The HTTP interface.

app.py         which request goes where
body.py        reading a request's body within its limits
protocol.py    a connection: limits for heads, answers to what is no HTTP
answers.py     JSON answers and raw ASGI sending
errors.py      one translation of errors to answers, in the two styles of the two APIs
classic.py     the first API: /, /jobs/add, /jobs/status, /jobs/get
service.py     /healthz, /readyz
v1/            the API under /v1
"""
