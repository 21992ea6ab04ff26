"""All SQL that reads or writes the tables of the schema slack. Callers pass values and get typed rows."""
