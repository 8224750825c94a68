"""What stops a build of the prospector, in words for the person who asked for it."""


class BuildError(Exception):
    """It says what is missing, and what to do.  What was there before is as it was."""
