"""Queue Server: a self-hosted job server for any program that can send an HTTP request."""

__version__ = "0.1.0"
