"""``python -m clausemark`` is the command ``clausemark``."""

from clausemark.cli import main

main()
