#include "request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server.h"

#define MAX_RUNNING 256
#define MAX_VARIABLES 4096

struct limits limits;
bool shutdown_requested;

static void done(struct connection *c, uint32_t id) { frame_put(&c->out, ANSWER_DONE, id, NULL, 0); }

static void answer(struct connection *c, uint32_t id, int result, const char *what) {
  if (result < 0) connection_fail(c, id, errno, what);
  else done(c, id);
}

/* ---- operations ---- */

static bool has_variable(char **environment, int count, const char *assignment) {
  size_t length = (size_t)(strchr(assignment, '=') - assignment) + 1;
  for (int i = 0; i < count; i++)
    if (strncmp(environment[i], assignment, length) == 0) return true;
  return false;
}

/* What was given, and what every command needs unless it was given. */
static char **take_environment(struct reader *r) {
  static char *const defaults[] = {
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      "HOME=" WORKSPACE,
      "LANG=C.UTF-8",
      "TMPDIR=/tmp",
  };
  uint32_t given = take_u32(r);
  if (given > MAX_VARIABLES) r->bad = true;
  if (r->bad) return NULL;
  char **environment = must_alloc((given + 5) * sizeof *environment);
  int count = 0;
  for (uint32_t i = 0; i < given; i++) {
    char *assignment = take_string(r);
    if (assignment == NULL) break;
    if (strchr(assignment, '=') == NULL) free(assignment), r->bad = true;
    else environment[count++] = assignment;
  }
  for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
    if (!has_variable(environment, count, defaults[i])) environment[count++] = strdup(defaults[i]);
  environment[count] = NULL;
  return environment;
}

static void free_command(struct command *command) {
  free(command->operation_id);
  free(command->script);
  free(command->cwd);
  for (char **variable = command->environment; variable != NULL && *variable != NULL; variable++) free(*variable);
  free(command->environment);
  if (command->stdin_fd >= 0) close(command->stdin_fd);
}

static void start(struct connection *c, uint32_t id, struct command *command, uint64_t now) {
  struct operation *known = operation_find(command->operation_id);
  if (known != NULL) {
    operation_watch(known, c, id);
    return;
  }
  if (operation_running_count() >= MAX_RUNNING) {
    connection_fail(c, id, EAGAIN, "too many commands run at once");
    return;
  }
  int cwd_fd = files_open_directory(command->cwd);
  if (cwd_fd < 0) {
    connection_fail(c, id, errno, "cwd");
    return;
  }
  struct operation *op = operation_start(command, cwd_fd, &limits, now);
  int error = errno;
  close(cwd_fd);
  if (op == NULL) connection_fail(c, id, error, "start");
  else operation_watch(op, c, id);
}

static void exec(struct connection *c, uint32_t id, struct reader *r, uint64_t now) {
  struct command command = {.stdin_fd = -1};
  command.timeout_ms = take_u32(r);
  command.operation_id = take_string(r);
  command.script = take_string(r);
  command.cwd = take_string(r);
  command.environment = take_environment(r);
  command.stdin_fd = connection_take_input(c, id);
  if (!r->bad) start(c, id, &command, now);
  free_command(&command);
}

static struct operation *take_operation(struct reader *r) {
  char *id = take_string(r);
  struct operation *op = id == NULL ? NULL : operation_find(id);
  free(id);
  return op;
}

static void attach(struct connection *c, uint32_t id, struct reader *r) {
  struct operation *op = take_operation(r);
  if (op != NULL) operation_watch(op, c, id);
  else connection_fail(c, id, ENOENT, "operation");
}

static void kill_operation(struct connection *c, uint32_t id, struct reader *r, uint64_t now) {
  struct operation *op = take_operation(r);
  if (op != NULL) operation_kill(op, c, id, now);
  else connection_fail(c, id, ENOENT, "operation");
}

/* ---- files ---- */

static void read_file(struct connection *c, uint32_t id, struct reader *r) {
  uint64_t offset = take_u64(r), length = take_u64(r);
  char *path = take_string(r);
  struct stat st;
  int fd = path == NULL ? -1 : files_open_regular(path, &st);
  free(path);
  if (r->bad) return;
  if (fd < 0) {
    connection_fail(c, id, errno, "read");
    return;
  }
  struct download *download = must_alloc(sizeof *download), **link = &c->downloads;
  *download = (struct download){.id = id, .fd = fd, .offset = offset, .left = length, .size = (uint64_t)st.st_size};
  while (*link != NULL) link = &(*link)->next;
  *link = download;
}

static void begin_write(struct connection *c, uint32_t id, struct reader *r) {
  bool append = take_u8(r) != 0;
  char *path = take_string(r);
  struct upload upload;
  int result = path == NULL ? -1 : files_begin_write(&upload, path, append);
  int error = errno;
  free(path);
  if (r->bad) return;
  if (result < 0) {
    connection_fail(c, id, error, "write");
    return;
  }
  struct receiving *receiving = must_alloc(sizeof *receiving);
  *receiving = (struct receiving){.next = c->receiving, .id = id, .upload = upload};
  c->receiving = receiving;
}

/* Data for a write that has failed is on its way when the host learns of it: that is no error. */
static void write_data(struct connection *c, uint32_t id, struct reader *r) {
  struct receiving *receiving = connection_receiving(c, id);
  if (receiving == NULL) return;
  if (files_write(&receiving->upload, r->bytes, r->left, limits.file_size_bytes) == 0) return;
  connection_fail(c, id, errno, "write");
  files_abandon(&receiving->upload);
  connection_end_receiving(c, receiving);
}

static void end_write(struct connection *c, uint32_t id) {
  struct receiving *receiving = connection_receiving(c, id);
  if (receiving == NULL) return;
  answer(c, id, files_commit(&receiving->upload), "write");
  connection_end_receiving(c, receiving);
}

static void stat_file(struct connection *c, uint32_t id, struct reader *r) {
  char *path = take_string(r);
  struct stat st;
  int result = path == NULL ? -1 : files_stat(path, &st);
  free(path);
  if (r->bad) return;
  if (result < 0) {
    connection_fail(c, id, errno, "stat");
    return;
  }
  size_t begun = frame_begin(&c->out, ANSWER_DONE, id);
  put_u8(&c->out, S_ISREG(st.st_mode) ? 1 : S_ISDIR(st.st_mode) ? 2 : 4);
  put_u64(&c->out, (uint64_t)st.st_size);
  put_u64(&c->out, (uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1000000);
  frame_end(&c->out, begun);
}

static void with_path(struct connection *c, uint32_t id, struct reader *r, uint8_t type) {
  bool recursive = type == REQUEST_DELETE && take_u8(r) != 0;
  char *path = take_string(r);
  if (path == NULL) return;
  if (type == REQUEST_DELETE) answer(c, id, files_delete(path, recursive), "delete");
  else if (type == REQUEST_LIST) answer(c, id, files_list(path, &c->out, id), "list");
  else answer(c, id, files_make_directories(path), "mkdir");
  free(path);
}

/* ---- dispatch ---- */

static void handle(struct connection *c, uint8_t type, uint32_t id, struct reader *r, uint64_t now) {
  switch (type) {
    case REQUEST_EXEC: exec(c, id, r, now); break;
    case REQUEST_STDIN:
      if (!connection_add_input(c, id, r->bytes, r->left)) c->broken = true;
      break;
    case REQUEST_ATTACH: attach(c, id, r); break;
    case REQUEST_CREDIT: operation_credit(c, id, take_u32(r)); break;
    case REQUEST_DETACH: operation_detach(c, id); break;
    case REQUEST_KILL: kill_operation(c, id, r, now); break;
    case REQUEST_READ: read_file(c, id, r); break;
    case REQUEST_WRITE: begin_write(c, id, r); break;
    case REQUEST_WRITE_DATA: write_data(c, id, r); break;
    case REQUEST_WRITE_END: end_write(c, id); break;
    case REQUEST_STAT: stat_file(c, id, r); break;
    case REQUEST_LIST:
    case REQUEST_DELETE:
    case REQUEST_MKDIR: with_path(c, id, r, type); break;
    case REQUEST_PING: done(c, id); break;
    case REQUEST_SHUTDOWN:
      done(c, id);
      shutdown_requested = true;
      break;
    default: r->bad = true;
  }
  if (r->bad) c->broken = true;
}

void requests_handle(struct connection *c, uint64_t now) {
  while (!c->broken && buffer_length(&c->in) >= FRAME_HEADER && buffer_length(&c->out) < CONNECTION_OUT_HIGH) {
    struct reader r = {c->in.bytes + c->in.start, buffer_length(&c->in), false};
    uint32_t length = take_u32(&r);
    uint8_t type = take_u8(&r);
    uint32_t id = take_u32(&r);
    if (length < FRAME_HEADER - 4 || length - (FRAME_HEADER - 4) > MAX_PAYLOAD) {
      c->broken = true;
      return;
    }
    if (buffer_length(&c->in) < (size_t)length + 4) return;
    r.left = length - (FRAME_HEADER - 4);
    handle(c, type, id, &r, now);
    buffer_consume(&c->in, (size_t)length + 4);
  }
}
