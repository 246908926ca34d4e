"""Make start weights of an encoder from a file of a whole network."""

from pathlib import Path
from typing import Annotated

import typer

from groundglass.cli.console import say

commands = typer.Typer()


@commands.command()
def encoder_weights(
    file: Annotated[
        Path, typer.Argument(help="File of a whole network, tensors alone.", metavar="FILE.pth")
    ],
    encoder: Annotated[
        str, typer.Option(help="Encoder it is for, such as tu-tf_efficientnet_lite0.")
    ],
    out: Annotated[Path, typer.Option(help="New file.", metavar="FILE.safetensors")],
) -> None:
    """Make start weights for `--set encoder_weights=FILE` where nothing can be downloaded."""
    from safetensors.torch import save

    from groundglass.errors import OutputError
    from groundglass.networks.encoder_file import encoder_weights_of
    from groundglass.training.run import replace_bytes

    if out.exists():
        raise OutputError(f"found '{out.name}', expected a new file; name another")
    weights = encoder_weights_of(file, encoder)
    out.parent.mkdir(parents=True, exist_ok=True)
    replace_bytes(out, save(weights))
    say(f"{out}: {len(weights)} tensors of {encoder}")
