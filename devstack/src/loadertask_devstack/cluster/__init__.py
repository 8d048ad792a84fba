"""A Kubernetes cluster for the local system: built and run here, by kind, or one that exists."""
