"""What is sent to which channel and when: outbox, grouping of pages, silences, retries."""
