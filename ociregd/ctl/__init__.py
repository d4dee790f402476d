"""
C{ociregctl}: what an operator does beside the daemon. It needs no reactor.
"""
