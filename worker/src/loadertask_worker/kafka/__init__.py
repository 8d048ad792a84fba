"""Kafka: records, events and commands; the only part of the worker that knows aiokafka."""
