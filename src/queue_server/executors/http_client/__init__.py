"""A small HTTP/1.1 client for running jobs, on the event loop's own sockets and llhttp's parser (docs/decisions/0011).

    origin.py      from a URL to where to connect and what to ask for there
    connection.py  one connection: a request out, a response in
    response.py    what came back, kept in constant memory
    pool.py        connecting, and using connections again
    failures.py    what can go wrong, named by the step that failed

It can what jobs need and no more: no redirects, no cookies, no proxies, no decompression, no HTTP/2.
"""
