"""Forms of boot servers."""

__all__ = ()
