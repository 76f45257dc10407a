"""Whether this installation can carry out the main sweep, and what else of it works.

Written so that it runs where packages are missing: nothing but the standard library is imported at the top of
a file, and what a check needs is imported inside it.
"""
