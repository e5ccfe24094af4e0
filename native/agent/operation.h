/*
 * An operation is a command that was started once under an id of the host's choosing. It runs under a keeper, a process
 * of its own that adopts whatever the command leaves behind; when the command ends, is killed or takes too long, everything
 * below the keeper is killed. Its output and exit status are kept for readers that come late.
 */
#ifndef HOLDFAST_OPERATION_H
#define HOLDFAST_OPERATION_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "frame.h"
#include "output.h"
#include "spawn.h"

struct connection;

enum operation_state {
  OPERATION_RUNNING,
  OPERATION_FINISHED,
  OPERATION_LOST, /* started by an agent before this one, which ended before it could tell how it went */
};

struct exit_status {
  int32_t code; /* -1 when a signal ended it */
  uint32_t signal;
  uint8_t flags; /* enum exit_flag */
  uint64_t duration_ms;
};

/* Somebody who reads an operation, or who waits for its end. */
struct watcher {
  struct watcher *next;
  struct connection *connection;
  uint32_t id;
  bool wants_output; /* else it asked for a kill and waits for DONE */
  bool detached;     /* wants the exit only */
  uint64_t position, dropped;
  uint32_t credit;
};

struct operation {
  struct operation *next;
  char *id;
  enum operation_state state;
  struct exit_status exit;
  struct output output;
  struct watcher *watchers;
  bool collected; /* somebody was told how it ended */

  pid_t keeper;             /* 0 when gone */
  int stdout_fd, stderr_fd; /* -1 when closed */
  int status_fd;            /* the keeper writes the command's wait status here */
  uint64_t started_at, deadline;
  uint64_t ending_since; /* 0 until the tree must go */
  uint64_t last_bytes;   /* what the pipes held when the keeper had gone; UINT64_MAX before */
};

/* The latest first. */
extern struct operation *operations;
/* How many are remembered. Above it, the oldest go whose end somebody was told; the others stay, and no more start. */
extern int operations_limit;

struct operation *operation_find(const char *id);
struct operation *operation_new(char *id, enum operation_state state);
/* Starts it, or returns NULL with errno. Takes the descriptor and the strings of the command. */
struct operation *operation_start(struct command *command, int cwd_fd, const struct limits *limits, uint64_t now);
int operation_running_count(void);

void operation_watch(struct operation *op, struct connection *connection, uint32_t id);
void operation_kill(struct operation *op, struct connection *connection, uint32_t id, uint64_t now);
void operation_credit(struct connection *connection, uint32_t id, uint32_t bytes);
void operation_detach(struct connection *connection, uint32_t id);
void operation_forget_connection(struct connection *connection);

/* Sends what watchers have credit for, and the end when they have everything. */
void operation_pump(struct operation *op);
/* The oldest byte that a connected reader has not been sent yet; UINT64_MAX when nobody reads. */
uint64_t operation_oldest_needed(const struct operation *op);

/* The descriptors to wait for (at most three), and what to do when they are ready. */
int operation_poll(const struct operation *op, struct pollfd *fds);
void operation_ready(struct operation *op, const struct pollfd *fds, int count, uint64_t now);
/* A child of the agent has ended. */
void operation_reaped(pid_t pid, int status);
/* Time-outs, kills and ends. Returns when it wants to be called again. */
uint64_t operation_tick(struct operation *op, uint64_t now);
/* Kills what lost its keeper. Returns when it wants to be called again. */
uint64_t operations_sweep_strays(uint64_t now);

#endif
