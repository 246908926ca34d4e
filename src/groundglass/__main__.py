"""``python -m groundglass``: the command line."""

from groundglass.cli import main

main()
