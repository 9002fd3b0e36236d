"""The records of all topics and the configuration, as frozen pydantic models."""
