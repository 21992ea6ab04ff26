"""Full-text search: the query language, and what it finds, for the command line, the console and other programs."""
