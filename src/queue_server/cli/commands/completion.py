"""`completion`: the script that makes a shell complete our commands and options."""

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print the completion script for your shell, for both queue-server and qs.

    \b
      bash   eval "$(queue-server completion bash)"       in ~/.bashrc
      zsh    eval "$(queue-server completion zsh)"        in ~/.zshrc
      fish   queue-server completion fish | source        in ~/.config/fish/config.fish
    """  # noqa: D301 (click's mark, an escape: keep these lines)
    from queue_server.cli.main import NAMES, root

    completion = get_completion_class(shell)
    if completion is None:
        raise click.UsageError(f"There is no completion for {shell}.")
    for name in NAMES:
        variable = f"_{name.replace('-', '_')}_COMPLETE".upper()
        print(completion(root, {}, name, variable).source())
