"""The operator: watches LoaderTask objects, runs each as worker Jobs, mirrors their events."""

__version__ = "0.1.0"
