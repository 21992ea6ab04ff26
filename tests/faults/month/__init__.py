"""A month of outages in a few minutes: three instances, one database, one Slack.

A day takes `scale.DAY` seconds of real time, and the program's own durations are as much shorter. Time is not
virtual: PostgreSQL's clock, a process that is killed, and TCP all go by real time, so a loop that skips waiting
would mix two times. Only steps of the wall clock are made (`scale.SteppedClock`).
"""
