"""Deliveries to channels: outbox, grouping of pages, silences, retries."""
