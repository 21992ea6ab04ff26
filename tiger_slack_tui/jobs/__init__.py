"""The jobs that run on a schedule or by hand, each by one instance at a time."""
