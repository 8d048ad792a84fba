"""A real Apache Kafka broker on this machine, with the platform's users, ACLs and topics."""

from loadertask_devstack.kafka.broker import Kafka, find, kill, prepare, running_kafka, start, stop

__all__ = ["Kafka", "find", "kill", "prepare", "running_kafka", "start", "stop"]
