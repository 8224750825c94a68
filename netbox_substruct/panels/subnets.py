"""Panels on the pages of subnets."""

__all__ = ()
