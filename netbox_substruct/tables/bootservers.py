"""Tables of boot servers."""

__all__ = ()
