"""Values that the core exchanges with its caller: records, messages, outputs, metrics."""
