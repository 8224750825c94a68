"""The lab: a disposable NetBox with the plugin, for the demo, the tests and the benchmarks.

Everything it makes stands under one folder (`places`) and one command removes it.  Nothing outside is touched but a
cache of migrated databases (`template`), because NetBox's own migrations take minutes.
"""
