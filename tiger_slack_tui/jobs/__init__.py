"""The jobs, which run on a schedule or when an operator starts them, each on one instance at a time."""
