"""
A daemon that dies, and storage that fails: nothing that a client was promised may be lost.

C{make faults} runs this. A push is cut short or refused at every system call that it makes below
the storage root; disks are filled, made read-only, and lose their power. Counting the calls of all
threads together takes a seccomp filter that asks us (L{interception}); strace counts for each
thread alone, so it cannot number the calls of a daemon with a pool.

Where the machine lacks something (root for the disks, say), tests are skipped, but fail where
CI=true.
"""
