"""What runs on a machine that booted the prospector.

It has nothing but the standard library of the image's Python, which is older than the sidecar's: write for 3.11.  What
reads facts or decides is pure and takes trees, texts and values; what does things to the machine says so in its first
line.
"""
