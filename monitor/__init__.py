"""The core: what every number, rule and page means. It does no I/O, reads no clock and draws no random number."""
