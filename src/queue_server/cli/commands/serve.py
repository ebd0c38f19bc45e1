"""`serve`: the server itself."""

import os
from collections.abc import Mapping

import click

from queue_server.cli.setting_options import config_option, setting_options
from queue_server.config.catalog import catalog
from queue_server.config.load import load

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Listening": (
        "host",
        "port",
        "tls_cert",
        "tls_key",
        "max_body",
        "max_batch",
        "max_connections",
        "max_connections_per_address",
        "shutdown_grace",
    ),
    "Access": ("auth", "admin_token", "login_limit", "allowed_hosts", "allowed_origins"),
    "Storage": (
        "db",
        "node_name",
        "processes",
        "secret_key",
        "max_waiting",
        "max_waiting_per_context",
        "retention_completed",
        "retention_failed",
        "retention_keys",
        "retention_audit",
    ),
    "Running jobs": (
        "concurrency",
        "exec_concurrency",
        "http_timeout",
        "exec_timeout",
        "connect_timeout",
        "heartbeat_timeout",
        "output_limit",
        "max_response",
    ),
    "Where http jobs may go": ("http_targets", "http_allow", "http_deny"),
    "Which commands may run, and how": (
        "exec",
        "exec_run_as",
        "exec_sandbox",
        "exec_memory",
        "exec_cpu",
        "exec_files",
        "exec_processes",
        "exec_file_size",
    ),
    "Defaults of jobs": (
        "default_priority",
        "default_context",
        "retry_max_attempts",
        "retry_backoff",
        "retry_min_delay",
        "retry_max_delay",
        "retry_jitter",
    ),
    "Logging": ("log_format", "log_level"),
}
"""The headings of the help. A setting that is not listed comes under Other."""

OPTION_WIDTH = 30
"""So that the sections' columns stand below each other."""


class ServeCommand(click.Command):
    """Groups its many options under headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options, a section for each heading."""
        records = {param.name: _aligned(param.get_help_record(ctx)) for param in self.get_params(ctx)}
        listed = {name for names in SECTIONS.values() for name in names}
        other = tuple(str(name) for name in records if name not in listed)
        for heading, names in {**SECTIONS, "Other": other}.items():
            with formatter.section(heading):
                formatter.write_dl([record for name in names if (record := records.get(name))])


def _aligned(record: tuple[str, str] | None) -> tuple[str, str]:
    option, line = record or ("", "")
    return option.ljust(OPTION_WIDTH), line


@click.command("serve", cls=ServeCommand)
@setting_options(*catalog())
@config_option
def command(config: str | None, **flags: str | None) -> int:
    """Start the server, and run until SIGTERM or Ctrl-C.

    Every option is also a variable (--http-timeout is QUEUE_SERVER_HTTP_TIMEOUT, or …_FILE for a file that
    holds the value) and a line of queue-server.toml (http_timeout = "20s"). An option beats a variable, and a
    variable beats the file.
    """
    loaded = load(flags, os.environ, config=config)
    from queue_server.server import run

    return run(loaded)
