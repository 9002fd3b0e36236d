"""Commands of ``python -m agents``: arguments, messages and exit codes, one file a command."""
