"""What a machine is: each module reads one part of it out of a tree of files (/sys, /proc, udev's records) and the
words of tools, and none of them changes anything.  `gather` puts them together; docs/facts.md has the format."""
