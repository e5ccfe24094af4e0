#include "operation.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "journal.h"
#include "sweep.h"

#define SWEEP_INTERVAL_MS 2
/* A keeper that does not end although nothing is below it was stopped by somebody: then it goes too. */
#define KEEPER_GRACE_MS 200
#define MAX_KEPT_OUTPUT (16u << 20)

struct operation *operations;
int operations_limit = 16384;
static int operation_count;
static bool has_strays; /* processes that lost their keeper */

struct operation *operation_find(const char *id) {
  for (struct operation *op = operations; op != NULL; op = op->next)
    if (strcmp(op->id, id) == 0) return op;
  return NULL;
}

/* A quarter at once, so that it is seldom. */
static void forget_collected(void) {
  int position = 0;
  for (struct operation **link = &operations; *link != NULL;) {
    struct operation *op = *link;
    bool is_old = ++position > operations_limit - operations_limit / 4;
    if (!is_old || !op->collected || op->state == OPERATION_RUNNING || op->watchers != NULL) {
      link = &op->next;
      continue;
    }
    *link = op->next;
    output_forget(&op->output);
    free(op->id);
    free(op);
    operation_count--;
  }
}

struct operation *operation_new(char *id, enum operation_state state) {
  if (operation_count >= operations_limit) forget_collected();
  struct operation *op = must_alloc(sizeof *op);
  *op = (struct operation){.next = operations, .id = id, .state = state, .last_bytes = UINT64_MAX};
  op->stdout_fd = op->stderr_fd = op->status_fd = -1;
  operations = op;
  operation_count++;
  return op;
}

int operation_running_count(void) {
  int count = 0;
  for (struct operation *op = operations; op != NULL; op = op->next) count += op->state == OPERATION_RUNNING;
  return count;
}

/* ---- starting ---- */

static bool open_pipes(int pipes[3][2]) {
  for (int i = 0; i < 3; i++) {
    if (pipe2(pipes[i], O_CLOEXEC) == 0) {
      fcntl(pipes[i][0], F_SETFL, O_NONBLOCK);
      continue;
    }
    while (i-- > 0) close(pipes[i][0]), close(pipes[i][1]);
    return false;
  }
  return true;
}

struct operation *operation_start(struct command *command, int cwd_fd, const struct limits *limits, uint64_t now) {
  int pipes[3][2];
  if (operation_count >= operations_limit) forget_collected();
  if (operation_count >= operations_limit) {
    errno = EMFILE;
    return NULL;
  }
  if (!open_pipes(pipes)) return NULL;
  /* On disk before it runs: an agent after this one must not take it for one that never started. */
  if (!journal_started(command->operation_id)) {
    int failed = errno;
    for (int i = 0; i < 3; i++) close(pipes[i][0]), close(pipes[i][1]);
    errno = failed;
    return NULL;
  }
  pid_t keeper = fork();
  if (keeper == 0) become_keeper(command, cwd_fd, pipes, limits);
  int failed = errno;
  for (int i = 0; i < 3; i++) close(pipes[i][1]);

  struct operation *op = operation_new(command->operation_id, OPERATION_RUNNING);
  command->operation_id = NULL;
  op->started_at = now;
  op->deadline = command->timeout_ms > 0 ? now + command->timeout_ms : UINT64_MAX;
  op->stdout_fd = pipes[0][0];
  op->stderr_fd = pipes[1][0];
  op->status_fd = pipes[2][0];
  op->keeper = keeper > 0 ? keeper : 0;
  op->exit = (struct exit_status){.code = -1, .signal = SIGKILL};
  if (keeper < 0) {
    char text[96];
    int length = snprintf(text, sizeof text, "cannot start a process: %s\n", strerror(failed));
    output_append(&op->output, ANSWER_STDERR, (const uint8_t *)text, (size_t)length, UINT64_MAX);
    op->exit = (struct exit_status){.code = 126};
  }
  return op;
}

/* ---- running ---- */

int operation_poll(const struct operation *op, struct pollfd *fds) {
  if (op->state != OPERATION_RUNNING) return 0;
  int count = 0;
  bool has_room = output_has_room(&op->output, operation_oldest_needed(op));
  if (has_room && op->stdout_fd >= 0) fds[count++] = (struct pollfd){op->stdout_fd, POLLIN, 0};
  if (has_room && op->stderr_fd >= 0) fds[count++] = (struct pollfd){op->stderr_fd, POLLIN, 0};
  if (op->status_fd >= 0) fds[count++] = (struct pollfd){op->status_fd, POLLIN, 0};
  return count;
}

static void close_fd(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

static void read_output(struct operation *op, int *fd, uint8_t stream) {
  static uint8_t bytes[64u << 10];
  ssize_t length = read(*fd, bytes, sizeof bytes);
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (length <= 0) {
    close_fd(fd);
    return;
  }
  if (op->last_bytes != UINT64_MAX) op->last_bytes -= (uint64_t)length < op->last_bytes ? (uint64_t)length : op->last_bytes;
  output_append(&op->output, stream, bytes, (size_t)length, operation_oldest_needed(op));
}

static void read_status(struct operation *op, uint64_t now) {
  int status;
  ssize_t length = read(op->status_fd, &status, sizeof status);
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
  close_fd(&op->status_fd);
  if (length == (ssize_t)sizeof status && (op->exit.flags & (EXIT_KILLED | EXIT_TIMED_OUT)) == 0) {
    op->exit.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    op->exit.signal = WIFSIGNALED(status) ? (uint32_t)WTERMSIG(status) : 0;
  }
  /* Whatever the command left behind goes with it. */
  if (op->ending_since == 0) op->ending_since = now;
}

void operation_ready(struct operation *op, const struct pollfd *fds, int count, uint64_t now) {
  for (int i = 0; i < count; i++) {
    if (fds[i].revents == 0) continue;
    if (fds[i].fd == op->stdout_fd) read_output(op, &op->stdout_fd, ANSWER_STDOUT);
    else if (fds[i].fd == op->stderr_fd) read_output(op, &op->stderr_fd, ANSWER_STDERR);
    else if (fds[i].fd == op->status_fd) read_status(op, now);
  }
}

static uint64_t bytes_waiting(int fd) {
  int waiting = 0;
  return fd >= 0 && ioctl(fd, FIONREAD, &waiting) == 0 ? (uint64_t)waiting : 0;
}

void operation_reaped(pid_t pid, int status) {
  for (struct operation *op = operations; op != NULL; op = op->next) {
    if (op->keeper != pid) continue;
    op->keeper = 0;
    /* A keeper that did not end by itself leaves its orphans to the agent. */
    if (!WIFEXITED(status)) has_strays = true;
    return;
  }
}

/* Output of operations that ended long ago goes first; that they ran, and how they ended, is remembered for longer. */
static void limit_kept_output(void) {
  size_t kept = 0;
  for (struct operation *op = operations; op != NULL; op = op->next) {
    if (op->state != OPERATION_FINISHED) continue;
    kept += output_cost(&op->output);
    if (kept > MAX_KEPT_OUTPUT && op->watchers == NULL) {
      kept -= output_cost(&op->output);
      output_forget(&op->output);
    }
  }
}

static void finish(struct operation *op, uint64_t now) {
  close_fd(&op->stdout_fd);
  close_fd(&op->stderr_fd);
  op->exit.duration_ms = now - op->started_at;
  op->state = OPERATION_FINISHED;
  output_trim(&op->output);
  operation_pump(op);
  journal_finished(op);
  limit_kept_output();
}

static bool has_ended(struct operation *op, uint64_t now) {
  if (op->keeper != 0 || has_strays) return false;
  if (op->status_fd >= 0) read_status(op, now);
  /*
   * Not the end of the pipes decides, because a process of another command may hold them open: what they contained when
   * the keeper had gone is all that this command has printed. It is little, so it is taken also when a reader lags.
   */
  if (op->last_bytes == UINT64_MAX) op->last_bytes = bytes_waiting(op->stdout_fd) + bytes_waiting(op->stderr_fd);
  while (op->last_bytes > 0 && (op->stdout_fd >= 0 || op->stderr_fd >= 0)) {
    uint64_t before = op->last_bytes;
    if (op->stdout_fd >= 0) read_output(op, &op->stdout_fd, ANSWER_STDOUT);
    if (op->stderr_fd >= 0) read_output(op, &op->stderr_fd, ANSWER_STDERR);
    if (op->last_bytes == before) break;
  }
  return true;
}

uint64_t operation_tick(struct operation *op, uint64_t now) {
  if (op->state != OPERATION_RUNNING) return UINT64_MAX;
  if (op->ending_since == 0 && now >= op->deadline) {
    op->ending_since = now;
    op->exit.flags |= EXIT_TIMED_OUT;
  }
  if (op->keeper == 0) {
    if (has_ended(op, now)) finish(op, now);
    return UINT64_MAX;
  }
  if (op->ending_since == 0) return op->deadline;
  /* Most commands leave nothing behind: then the keeper ends by itself within this millisecond. */
  if ((op->exit.flags & (EXIT_KILLED | EXIT_TIMED_OUT)) == 0 && now == op->ending_since) return now + 1;
  bool found = sweep_descendants(op->keeper, NULL, 0);
  if (!found) kill(op->keeper, SIGCONT);
  if (!found && now - op->ending_since > KEEPER_GRACE_MS) kill(op->keeper, SIGKILL);
  return now + SWEEP_INTERVAL_MS;
}

uint64_t operations_sweep_strays(uint64_t now) {
  if (!has_strays) return UINT64_MAX;
  pid_t keepers[1024];
  size_t count = 0;
  for (struct operation *op = operations; op != NULL && count < 1024; op = op->next)
    if (op->keeper != 0) keepers[count++] = op->keeper;
  if (!sweep_descendants(getpid(), keepers, count)) {
    has_strays = false;
    return UINT64_MAX;
  }
  return now + SWEEP_INTERVAL_MS;
}
