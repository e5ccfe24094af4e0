#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linux.h"

#define SHELL "/bin/bash"
#define OPEN_FILES 4096
#define PENDING_SIGNALS 1024

static void set_limit(int resource, uint64_t value) {
  struct rlimit current, wanted = {value, value};
  if (getrlimit(resource, &current) != 0) return;
  if (wanted.rlim_max > current.rlim_max) wanted.rlim_cur = wanted.rlim_max = current.rlim_max;
  setrlimit(resource, &wanted);
}

static void set_limits(const struct limits *limits) {
  set_limit(RLIMIT_NPROC, limits->processes);
  set_limit(RLIMIT_DATA, limits->memory_bytes);
  set_limit(RLIMIT_FSIZE, limits->file_size_bytes);
  set_limit(RLIMIT_NOFILE, OPEN_FILES);
  set_limit(RLIMIT_SIGPENDING, PENDING_SIGNALS);
  set_limit(RLIMIT_CORE, 0);
}

/* When memory runs out, a command is to go and not the agent, with which the whole sandbox would end. */
static void offer_to_oom_killer(void) {
  prctl(PR_SET_DUMPABLE, 1);
  int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  if (write(fd, "700", 3) != 3) { /* then it stays as it is */
  }
  close(fd);
}

static void reset_signals(void) {
  sigset_t none;
  sigemptyset(&none);
  for (int signal = 1; signal < 65; signal++) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigaction(signal, &action, NULL);
  }
  sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void become_command(struct command *command, int cwd_fd, const int pipes[3][2], const struct limits *limits) {
  int input = command->stdin_fd >= 0 ? command->stdin_fd : open("/dev/null", O_RDONLY);
  if (fchdir(cwd_fd) != 0 || dup2(input, 0) < 0 || dup2(pipes[0][1], 1) < 0 || dup2(pipes[1][1], 2) < 0) _exit(126);
  setsid();
  reset_signals();
  close_from(3);
  /* Last, because from here on other commands may look into this process: nothing of the agent's may still be open in it. */
  offer_to_oom_killer();
  set_limits(limits);
  umask(022);
  char *arguments[] = {"bash", "-c", command->script, NULL};
  execve(SHELL, arguments, command->environment);
  const char *reason = errno == E2BIG ? "the command is too long\n" : "cannot start " SHELL "\n";
  if (write(2, reason, strlen(reason)) < 0) _exit(126);
  _exit(127);
}

/* Adopts orphans until there are none. Does nothing else, so that a command that stops or kills it gains nothing. */
_Noreturn void become_keeper(struct command *command, int cwd_fd, const int pipes[3][2], const struct limits *limits) {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  pid_t child = fork();
  if (child == 0) become_command(command, cwd_fd, pipes, limits);
  int status = 127 << 8, status_fd = pipes[2][1];
  if (child < 0 && write(status_fd, &status, sizeof status) < 0) _exit(1);
  dup2(status_fd, 3);
  for (int fd = 0; fd < 3; fd++) close(fd);
  close_from(4);
  for (;;) {
    pid_t ended = waitpid(-1, &status, 0);
    if (ended < 0 && errno == EINTR) continue;
    if (ended < 0) _exit(0);
    if (ended == child && write(3, &status, sizeof status) < 0) _exit(1);
  }
}
