//! Runs machines on threads, sockets and disks.
