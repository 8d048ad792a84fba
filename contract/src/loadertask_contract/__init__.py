"""The wire contract between operator, worker and platform: models and pure functions, no I/O."""
