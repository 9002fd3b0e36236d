"""From a record to verdicts and panes: decoding, aggregation, dead letters, failure samples."""
