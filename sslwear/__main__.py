"""Runs the ``sslwear`` command as ``python -m sslwear``."""

from sslwear.cli.app import app

if __name__ == "__main__":
    app(prog_name="sslwear")
