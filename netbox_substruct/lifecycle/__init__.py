"""The one place where a machine, a build or a task changes state.

`states` holds the tables of what is allowed; `machines`, `builds` and `tasks` carry the moves out; `events` tells
NetBox.  Nothing here knows of HTTP requests or forms: whether a user may ask is checked by whoever calls, with the
permission that the docstring of each move names.
"""
