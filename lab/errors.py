"""The one error that the lab raises on purpose: it is shown to the user as it stands, without a traceback."""


class LabError(Exception):
    """Says what was wrong, with which thing, and what to do."""
