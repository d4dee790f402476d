"""
The specification, row by row, over HTTP against a running daemon.
"""
