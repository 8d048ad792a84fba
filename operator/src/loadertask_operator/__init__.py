"""The operator: runs LoaderTask objects as Jobs and mirrors what their workers report."""
