"""
A daemon or a database that dies, and storage that fails: nothing that a client was promised may be
lost.

C{make faults} runs this. A push is cut short or refused at every system call that it makes below
the storage root; disks are filled, made read-only, and lose their power. Counting the calls of all
threads together takes a seccomp filter that asks us (L{interception}): strace counts for each
thread alone, so it cannot number the calls of a daemon with a pool.

Where the machine lacks something (root for the disks, say), tests are skipped, but fail where
CI=true. More than the default, which takes a few minutes, is done on demand:

  - C{OCIREGD_FAULT_KILLS}: how often the daemon is killed at random (25),
    C{OCIREGD_FAULT_DATABASE_KILLS}: how often its database is in trouble (16), and
    C{OCIREGD_FAULT_SEED}: at which moments;
  - C{OCIREGD_FAULT_RUN}: of equal calls in a row, like the pages of a transaction, how many are
    points of their own (2);
  - C{OCIREGD_FAULT_CUT_STRIDE}: at every how many-th system call the power is cut (4).
"""
