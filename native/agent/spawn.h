/* What the children of the agent become: a keeper for each operation, and the command below it. */
#ifndef HOLDFAST_SPAWN_H
#define HOLDFAST_SPAWN_H

#include <stdint.h>

struct command {
  char *operation_id, *script, *cwd;
  char **environment; /* NULL at its end */
  uint32_t timeout_ms;
  int stdin_fd; /* -1: nothing to read */
};

struct limits {
  uint64_t processes, memory_bytes, file_size_bytes;
};

/* The writing ends of `pipes` get standard output, standard error and the command's wait status. */
_Noreturn void become_keeper(struct command *command, int cwd_fd, const int pipes[3][2], const struct limits *limits);

#endif
