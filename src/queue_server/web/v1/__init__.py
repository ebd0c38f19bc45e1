"""The API under /v1: JSON in and out, errors as RFC 9457 problem details."""
