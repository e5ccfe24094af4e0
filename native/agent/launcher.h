/*
 * The small process that is bubblewrap's parent and outlives the runtime: it makes the control socket, gives up root,
 * starts bubblewrap, waits for its end and removes what it made.
 */
#ifndef HOLDFAST_LAUNCHER_H
#define HOLDFAST_LAUNCHER_H

#define SOCKET_NAME "agent.sock"
#define PID_NAME "launcher.pid"
#define LOCK_NAME "lock"
#define LOG_NAME "log"
#define JOURNAL_NAME "journal"
/* Another launcher of this session is alive, or has just gone and taken what this one was given: to be tried again. */
#define EXIT_ALREADY_RUNNING 75

/*
 * launch --dir DIRECTORY [--uid N] [--own WORKSPACE] [--cgroup DIRECTORY]... [--mount NAME PATH]... -- BWRAP ARGUMENT...
 *
 * `--own` gives the workspace to that user. `--mount` makes a path that only root can reach known to bubblewrap as /tmp/NAME. Exits 0 once the socket accepts
 * connections; the process that stays behind is not a child of the caller.
 */
int launch(int argc, char **argv);

#endif
