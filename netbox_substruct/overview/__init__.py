"""How provisioning is as a whole: machines by state, builds, failures, durations, boot servers.

    reading.py   asks the database: aggregates, in a number of queries that does not grow
    plots.py     the shapes of plots, from numbers.  Pure

It knows nothing of HTTP.  Whoever calls gives the querysets, restricted to what the user may see.
"""
