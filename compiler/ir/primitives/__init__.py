"""The operators of the space graph; see README.md. `.registry` has all of them, `.base` what they declare."""
