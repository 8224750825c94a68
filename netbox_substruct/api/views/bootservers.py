"""REST view sets of boot servers."""

__all__ = ()
