"""The operator's side of Kafka: events in, stop commands out."""
