#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "connection.h"
#include "journal.h"
#include "linux.h"
#include "operation.h"
#include "request.h"

#define PER_OPERATION 3
/* Room in `in` for the largest frame, and for one read behind it. */
#define CONNECTION_IN_HIGH (MAX_PAYLOAD + FRAME_HEADER)

struct lifetime {
  uint64_t idle_ms, ends_at, idle_since;
};

static uint64_t now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static uint64_t number_option(int argc, char **argv, const char *name, uint64_t otherwise) {
  for (int i = 0; i + 1 < argc; i++)
    if (strcmp(argv[i], name) == 0) return strtoull(argv[i + 1], NULL, 10);
  return otherwise;
}

static void forget_keeper(void) {
  int status;
  pid_t pid;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) operation_reaped(pid, status);
}

static int watch_children(void) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  sigprocmask(SIG_BLOCK, &signals, NULL);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

static uint64_t earlier(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* Ends commands and sends what can be sent. Returns when something must be done even if nothing arrives. */
static uint64_t work(uint64_t now) {
  uint64_t next = operations_sweep_strays(now);
  for (struct operation *op = operations; op != NULL; op = op->next) {
    next = earlier(next, operation_tick(op, now));
    if (op->watchers != NULL) operation_pump(op);
  }
  for (struct connection *c = connections, *following; c != NULL; c = following) {
    following = c->next;
    requests_handle(c, now);
    connection_pump(c);
    if (!connection_write(c) || c->broken) connection_close(c);
    else if (c->downloads != NULL && buffer_length(&c->out) < CONNECTION_OUT_HIGH) next = now;
  }
  return next;
}

static bool wants_more(const struct connection *c) {
  return buffer_length(&c->in) < CONNECTION_IN_HIGH && buffer_length(&c->out) < CONNECTION_OUT_HIGH;
}

static size_t fill(struct pollfd **fds, int signal_fd) {
  static size_t capacity;
  size_t needed = 2;
  for (struct connection *c = connections; c != NULL; c = c->next) needed++;
  needed += (size_t)operation_running_count() * PER_OPERATION;
  if (needed > capacity) *fds = must_resize(*fds, (capacity = needed * 2) * sizeof **fds);
  size_t count = 0;
  (*fds)[count++] = (struct pollfd){LISTEN_FD, POLLIN, 0};
  (*fds)[count++] = (struct pollfd){signal_fd, POLLIN, 0};
  for (struct connection *c = connections; c != NULL; c = c->next) {
    int events = (wants_more(c) ? POLLIN : 0) | (buffer_length(&c->out) > 0 ? POLLOUT : 0);
    (*fds)[count++] = (struct pollfd){c->fd, (short)events, 0};
  }
  for (struct operation *op = operations; op != NULL; op = op->next) count += (size_t)operation_poll(op, *fds + count);
  return count;
}

static bool belongs_to(const struct operation *op, const struct pollfd *fd) {
  return fd->fd >= 0 && (fd->fd == op->stdout_fd || fd->fd == op->stderr_fd || fd->fd == op->status_fd);
}

/* In the order of `fill`. */
static void dispatch(const struct pollfd *fds, size_t count, int signal_fd, uint64_t now) {
  size_t at = 2;
  for (struct connection *c = connections, *following; c != NULL; c = following) {
    following = c->next;
    short events = fds[at++].revents;
    if ((events & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
    bool open = connection_read(c);
    /* What arrived before the end still counts: a host may send a command and leave. */
    requests_handle(c, now);
    if (!open) c->broken = true;
  }
  for (struct operation *op = operations; op != NULL && at < count; op = op->next) {
    int own = 0;
    while (at + (size_t)own < count && belongs_to(op, &fds[at + (size_t)own])) own++;
    if (own > 0) operation_ready(op, fds + at, own, now);
    at += (size_t)own;
  }
  if (fds[1].revents != 0) {
    struct signalfd_siginfo info;
    while (read(signal_fd, &info, sizeof info) == (ssize_t)sizeof info) continue;
    forget_keeper();
  }
  if (fds[0].revents != 0) connection_accept(LISTEN_FD);
}

/* Whether nobody needs this sandbox any more. */
static bool is_over(struct lifetime *life, uint64_t now) {
  bool busy = connections != NULL || operation_running_count() > 0;
  if (busy) life->idle_since = now;
  return shutdown_requested || now >= life->ends_at || now - life->idle_since >= life->idle_ms;
}

static int wait_ms(const struct lifetime *life, uint64_t next, uint64_t now) {
  uint64_t until = earlier(earlier(next, life->ends_at), life->idle_since + life->idle_ms);
  if (until <= now) return 0;
  return until - now > 60000 ? 60000 : (int)(until - now);
}

int serve(int argc, char **argv) {
  prctl(PR_SET_DUMPABLE, 0);
  umask(022);
  limits.processes = number_option(argc, argv, "--processes", 256);
  limits.memory_bytes = number_option(argc, argv, "--memory", (uint64_t)2 << 30);
  limits.file_size_bytes = number_option(argc, argv, "--file-size", (uint64_t)1 << 30);
  operations_limit = (int)number_option(argc, argv, "--operations", (uint64_t)operations_limit);
  uint64_t now = now_ms();
  struct lifetime life = {
      .idle_ms = number_option(argc, argv, "--idle", 900) * 1000,
      .ends_at = now + number_option(argc, argv, "--lifetime", 8 * 3600) * 1000,
      .idle_since = now,
  };
  fcntl(LISTEN_FD, F_SETFD, FD_CLOEXEC);
  fcntl(LISTEN_FD, F_SETFL, O_NONBLOCK);
  fcntl(JOURNAL_FD, F_SETFD, FD_CLOEXEC);
  close_from(JOURNAL_FD + 1);
  close(LISTEN_FD + 1);
  if (!files_open_workspace()) {
    fprintf(stderr, "cannot open %s: %s\n", WORKSPACE, strerror(errno));
    return 1;
  }
  journal_open(fcntl(JOURNAL_FD, F_GETFD) < 0 ? -1 : JOURNAL_FD);
  int signal_fd = watch_children();
  struct pollfd *fds = NULL;
  for (;;) {
    now = now_ms();
    uint64_t next = work(now);
    if (is_over(&life, now)) return 0;
    size_t count = fill(&fds, signal_fd);
    if (poll(fds, count, wait_ms(&life, next, now)) >= 0) dispatch(fds, count, signal_fd, now_ms());
    else if (errno != EINTR) return 1;
  }
}
