"""
Who may do what: users, their passwords, and the rules of the operator. It knows no HTTP but the
header that carries a password.
"""
