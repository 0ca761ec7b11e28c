"""The ``sslwear`` command."""
