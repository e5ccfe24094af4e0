#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define COMPACT_ABOVE (16u << 20)
/* Above this, output is no longer written; that an operation started and ended always is. */
#define OUTPUT_UP_TO (64u << 20)
#define MAX_RECORD (4u << 20)

enum record { RECORD_STARTED = 1, RECORD_FINISHED = 2, RECORD_COLLECTED = 3 };

static int journal = -1;
static uint64_t journal_size;

static bool write_all(int fd, const struct buffer *b) {
  size_t written = 0;
  while (written < buffer_length(b)) {
    ssize_t length = write(fd, b->bytes + b->start + written, buffer_length(b) - written);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return false;
    written += (size_t)length;
  }
  return true;
}

static void put_event(struct buffer *b, enum record kind, const char *id) {
  put_u32(b, (uint32_t)(1 + 4 + strlen(id)));
  put_u8(b, (uint8_t)kind);
  put_string(b, id);
}

static void put_chunks(struct buffer *b, const struct chunks *list) {
  for (const struct chunk *c = list->first; c != NULL; c = c->next) {
    put_u8(b, c->stream);
    put_u64(b, c->offset);
    put_u32(b, c->length);
    put_bytes(b, c->bytes, c->length);
  }
}

static void put_finished(struct buffer *b, const struct operation *op, bool with_output) {
  struct buffer record = {0};
  put_u8(&record, RECORD_FINISHED);
  put_string(&record, op->id);
  put_u32(&record, (uint32_t)op->exit.code);
  put_u32(&record, op->exit.signal);
  put_u8(&record, op->exit.flags);
  put_u64(&record, op->exit.duration_ms);
  put_u64(&record, op->output.total);
  if (with_output) {
    put_chunks(&record, &op->output.head);
    put_chunks(&record, &op->output.tail);
  }
  put_u32(b, (uint32_t)buffer_length(&record));
  put_bytes(b, record.bytes + record.start, buffer_length(&record));
  buffer_free(&record);
}

/* A record is whole or not there: what a full disk cut is taken back, so that later ones can still be read. */
static bool append(struct buffer *b) {
  bool written = write_all(journal, b);
  int failed = errno;
  if (written) journal_size += buffer_length(b);
  else if (ftruncate(journal, (off_t)journal_size) != 0) failed = EIO;
  buffer_free(b);
  errno = failed;
  return written;
}

bool journal_started(const char *operation_id) {
  if (journal < 0) return true;
  struct buffer b = {0};
  put_event(&b, RECORD_STARTED, operation_id);
  return append(&b) && fdatasync(journal) == 0;
}

void journal_finished(const struct operation *op) {
  if (journal < 0) return;
  struct buffer b = {0};
  put_finished(&b, op, journal_size < OUTPUT_UP_TO);
  append(&b);
}

/* Not flushed: when it is lost, the operation is remembered for longer than it need be. */
void journal_collected(const struct operation *op) {
  if (journal < 0) return;
  struct buffer b = {0};
  put_event(&b, RECORD_COLLECTED, op->id);
  append(&b);
}

static void load_chunks(struct output *output, struct reader *r) {
  while (r->left > 0) {
    uint8_t stream = take_u8(r);
    uint64_t offset = take_u64(r);
    uint32_t length = take_u32(r);
    bool in_order = output->head.last == NULL || offset >= output->head.last->offset + output->head.last->length;
    if (r->bad || length > r->left || !in_order) return;
    struct chunk *c = must_alloc(sizeof *c + length);
    *c = (struct chunk){.offset = offset, .length = length, .capacity = length, .stream = stream};
    memcpy(c->bytes, r->bytes, length);
    r->bytes += length;
    r->left -= length;
    if (output->head.last != NULL) output->head.last->next = c;
    else output->head.first = c;
    output->head.last = c;
    output->head.cost += sizeof *c + length;
  }
}

static void load_finished(struct operation *op, struct reader *r) {
  op->state = OPERATION_FINISHED;
  op->exit.code = (int32_t)take_u32(r);
  op->exit.signal = take_u32(r);
  op->exit.flags = take_u8(r);
  op->exit.duration_ms = take_u64(r);
  uint64_t total = take_u64(r);
  load_chunks(&op->output, r);
  op->output.total = total;
}

static void load_record(struct reader *r) {
  uint8_t kind = take_u8(r);
  char *id = take_string(r);
  if (id == NULL) return;
  struct operation *op = operation_find(id);
  if (op == NULL) op = operation_new(id, OPERATION_LOST);
  else free(id);
  if (kind == RECORD_FINISHED) load_finished(op, r);
  if (kind == RECORD_COLLECTED) op->collected = true;
}

/* Returns how far the file could be read. */
static uint64_t load(int fd) {
  struct buffer record = {0};
  uint64_t read_to = 0;
  for (;;) {
    uint8_t prefix[4];
    if (pread(fd, prefix, 4, (off_t)read_to) != 4) break;
    struct reader r = {prefix, 4, false};
    uint32_t length = take_u32(&r);
    if (length == 0 || length > MAX_RECORD) break;
    if (pread(fd, buffer_reserve(&record, length), length, (off_t)read_to + 4) != (ssize_t)length) break;
    r = (struct reader){record.bytes + record.end, length, false};
    load_record(&r);
    read_to += 4 + (uint64_t)length;
  }
  buffer_free(&record);
  return read_to;
}

void journal_open(int fd) {
  if (fd < 0) return;
  journal_size = load(fd);
  /* The descriptor appends: a cut record must go before the next one comes. */
  if (ftruncate(fd, (off_t)journal_size) == 0) journal = fd;
}

/* The oldest first, as they came. */
static void put_operations(struct buffer *b, const struct operation *latest) {
  size_t count = 0;
  for (const struct operation *op = latest; op != NULL; op = op->next) count++;
  const struct operation **all = must_alloc(count * sizeof *all);
  for (const struct operation *op = latest; op != NULL; op = op->next) all[--count] = op;
  for (const struct operation *op = latest; op != NULL; op = op->next, count++) {
    put_event(b, RECORD_STARTED, all[count]->id);
    if (all[count]->state == OPERATION_FINISHED) put_finished(b, all[count], false);
    if (all[count]->collected) put_event(b, RECORD_COLLECTED, all[count]->id);
  }
  free(all);
}

static void rewrite(const char *path) {
  int from = open(path, O_RDONLY | O_CLOEXEC);
  int to = open("journal.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (from < 0 || to < 0) return;
  load(from);
  struct buffer b = {0};
  put_operations(&b, operations);
  if (write_all(to, &b) && fsync(to) == 0 && rename("journal.new", path) == 0) return;
  unlink("journal.new");
}

void journal_compact(const char *path) {
  struct stat st;
  if (stat(path, &st) != 0 || st.st_size < (off_t)COMPACT_ABOVE) return;
  /* In a process of its own, which takes the memory with it. */
  pid_t child = fork();
  if (child == 0) {
    rewrite(path);
    _exit(0);
  }
  if (child > 0) waitpid(child, NULL, 0);
}
