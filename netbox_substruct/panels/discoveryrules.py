"""Panels on the pages of discovery rules."""

__all__ = ()
