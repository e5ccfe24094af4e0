/* Those who read an operation or wait for its end: the part of operation.h that speaks with connections. */
#include <stdlib.h>

#include "journal.h"
#include "operation.h"
#include "server.h"

static struct watcher *add_watcher(struct operation *op, struct connection *connection, uint32_t id) {
  struct watcher *w = must_alloc(sizeof *w);
  *w = (struct watcher){.next = op->watchers, .connection = connection, .id = id, .credit = INITIAL_CREDIT};
  op->watchers = w;
  return w;
}

void operation_watch(struct operation *op, struct connection *connection, uint32_t id) {
  add_watcher(op, connection, id)->wants_output = true;
  frame_put(connection_out(connection), ANSWER_STARTED, id, NULL, 0);
  operation_pump(op);
}

void operation_kill(struct operation *op, struct connection *connection, uint32_t id, uint64_t now) {
  if (op->state != OPERATION_RUNNING) {
    frame_put(connection_out(connection), ANSWER_DONE, id, NULL, 0);
    return;
  }
  add_watcher(op, connection, id);
  if (op->ending_since > 0) return;
  op->ending_since = now;
  op->exit.flags |= EXIT_KILLED;
}

static struct watcher *find_watcher(struct connection *connection, uint32_t id, struct operation **found) {
  for (struct operation *op = operations; op != NULL; op = op->next)
    for (struct watcher *w = op->watchers; w != NULL; w = w->next)
      if (w->connection == connection && w->id == id) {
        *found = op;
        return w;
      }
  return NULL;
}

void operation_credit(struct connection *connection, uint32_t id, uint32_t bytes) {
  struct operation *op;
  struct watcher *w = find_watcher(connection, id, &op);
  if (w == NULL) return;
  w->credit = bytes > INITIAL_CREDIT - w->credit ? INITIAL_CREDIT : w->credit + bytes;
  operation_pump(op);
}

void operation_detach(struct connection *connection, uint32_t id) {
  struct operation *op;
  struct watcher *w = find_watcher(connection, id, &op);
  if (w == NULL) return;
  w->detached = true;
  operation_pump(op);
}

void operation_forget_connection(struct connection *connection) {
  for (struct operation *op = operations; op != NULL; op = op->next) {
    for (struct watcher **link = &op->watchers; *link != NULL;) {
      struct watcher *w = *link;
      if (w->connection != connection) {
        link = &w->next;
        continue;
      }
      *link = w->next;
      free(w);
    }
  }
}

static void send_output(struct operation *op, struct watcher *w) {
  struct buffer *out = connection_out(w->connection);
  while (w->credit > 0 && buffer_length(out) < CONNECTION_OUT_HIGH) {
    const struct chunk *c = output_at(&op->output, &w->position, &w->dropped);
    if (c == NULL) return;
    size_t from = (size_t)(w->position - c->offset);
    size_t length = c->length - from;
    if (length > w->credit) length = w->credit;
    frame_put(out, c->stream, w->id, c->bytes + from, length);
    w->position += length;
    w->credit -= (uint32_t)length;
  }
}

static void send_exit(struct operation *op, struct watcher *w) {
  struct buffer *out = connection_out(w->connection);
  if (!w->wants_output) {
    frame_put(out, ANSWER_DONE, w->id, NULL, 0);
    return;
  }
  size_t begun = frame_begin(out, ANSWER_EXIT, w->id);
  put_u32(out, (uint32_t)op->exit.code);
  put_u32(out, op->exit.signal);
  put_u8(out, op->state == OPERATION_LOST ? EXIT_LOST : op->exit.flags);
  put_u64(out, op->exit.duration_ms);
  put_u64(out, w->dropped);
  frame_end(out, begun);
  if (op->collected) return;
  op->collected = true;
  journal_collected(op);
}

void operation_pump(struct operation *op) {
  for (struct watcher **link = &op->watchers; *link != NULL;) {
    struct watcher *w = *link;
    bool reads = w->wants_output && !w->detached;
    if (reads) send_output(op, w);
    bool has_all = !reads || output_at(&op->output, &w->position, &w->dropped) == NULL;
    if (op->state == OPERATION_RUNNING || !has_all) {
      link = &w->next;
      continue;
    }
    send_exit(op, w);
    *link = w->next;
    free(w);
  }
}

uint64_t operation_oldest_needed(const struct operation *op) {
  uint64_t oldest = UINT64_MAX;
  for (const struct watcher *w = op->watchers; w != NULL; w = w->next)
    if (w->wants_output && !w->detached && w->position < oldest) oldest = w->position;
  return oldest;
}
