"""Panels on the pages of boot servers."""

__all__ = ()
