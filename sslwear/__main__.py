"""Runs the ``sslwear`` command as ``python -m sslwear``."""

from sslwear.cli.app import main

if __name__ == "__main__":
    main()
