"""The command line: `serve` and its like, and the commands of a client that talk HTTP to a server.

Data goes to stdout, all else to stderr. Nothing here knows the store or the engine; a command that starts one
imports it when it runs, so that `--help` is quick.
"""
