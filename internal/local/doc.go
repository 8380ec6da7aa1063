// Package local runs Redis and ClickHouse on this machine, for the demo, development, tests and --local: on loopback, on
// free ports, with their data in one directory, without Docker.
//
// The engines of a directory belong to a keeper, a child process that outlives neither its users nor its engines' users:
//
//   - Whoever uses the engines holds a shared lock on users.lock. Commands that name the same directory join.
//   - The keeper tries to lock users.lock exclusively, again and again. When it can, nobody is left: it stops the engines
//     and exits while it holds the lock, so that the next user starts a fresh keeper and never meets a dying one.
//   - The operating system drops the lock of a user that was killed, so nothing is left behind then either; and when the
//     keeper itself is killed, its engines get the kernel's parent-death signal.
//
// Others on the machine are kept out: passwords of each start, which only who can read engines.json knows; an environment
// without secrets for the children; and an engine that reaches no files but its own (confine).
//
// Programs that use the package call RunChild first thing in main.
package local
