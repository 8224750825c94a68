"""The demo: a rack of three virtual machines that are discovered and install themselves, told as it happens.

`catalogue` is what NetBox offers machines to become, `story` is what happens to each, `view` shows it, and `command` is
`bin/lab demo`.  The end-to-end tests use `catalogue` and `story` too.
"""
