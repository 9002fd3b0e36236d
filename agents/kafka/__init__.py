"""Connections to Kafka, topics and consumer groups."""
