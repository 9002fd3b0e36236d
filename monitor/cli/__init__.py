"""Commands of ``python -m monitor``: arguments, files and progress."""
