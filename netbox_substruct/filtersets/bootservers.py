"""Filter sets of boot servers."""

__all__ = ()
