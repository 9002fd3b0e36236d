"""Run a core on Faust: transport, owned partitions, transactions, watchdog."""
