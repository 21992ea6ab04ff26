"""The tools. Each is a function of a call and its arguments; its annotations and docstring are what clients see."""
