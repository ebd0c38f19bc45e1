"""Secrets at rest: the server's keys, what they seal, the secrets that are kept under names, and signatures.

keys.py      the keys: those of the setting secret_key, and one in a file beside the database
sealing.py   sealing and opening a text with them
kept.py      the secrets that are kept under names, sealed in memory as they are in the store
signing.py   signatures of requests (Standard Webhooks)
revealing.py a command with its secrets put back, just before it is sent
"""
