"""Shells on Faust: read, call one object of ``monitor``, write."""
