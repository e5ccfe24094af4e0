#include "connection.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "operation.h"
#include "server.h"

#define MAX_CONNECTIONS 64
#define MAX_INPUT (64u << 20)
#define DOWNLOAD_PART (64u << 10)

struct connection *connections;
static int connection_count;

struct buffer *connection_out(struct connection *connection) { return &connection->out; }

void connection_accept(int listen_fd) {
  int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  if (connection_count >= MAX_CONNECTIONS) {
    close(fd);
    return;
  }
  struct connection *c = must_alloc(sizeof *c);
  *c = (struct connection){.next = connections, .fd = fd};
  connections = c;
  connection_count++;
  size_t begun = frame_begin(&c->out, ANSWER_READY, 0);
  put_u32(&c->out, PROTOCOL_VERSION);
  frame_end(&c->out, begun);
}

static void end_download(struct connection *c) {
  struct download *first = c->downloads;
  c->downloads = first->next;
  close(first->fd);
  free(first);
}

void connection_close(struct connection *c) {
  operation_forget_connection(c);
  while (c->downloads != NULL) end_download(c);
  while (c->receiving != NULL) {
    files_abandon(&c->receiving->upload);
    connection_end_receiving(c, c->receiving);
  }
  while (c->inputs != NULL) close(connection_take_input(c, c->inputs->id));
  for (struct connection **link = &connections; *link != NULL; link = &(*link)->next)
    if (*link == c) {
      *link = c->next;
      break;
    }
  close(c->fd);
  buffer_free(&c->in);
  buffer_free(&c->out);
  free(c);
  connection_count--;
}

bool connection_read(struct connection *c) {
  ssize_t length = read(c->fd, buffer_reserve(&c->in, 64u << 10), 64u << 10);
  if (length < 0) return errno == EAGAIN || errno == EINTR;
  c->in.end += (size_t)length;
  return length > 0;
}

bool connection_write(struct connection *c) {
  while (buffer_length(&c->out) > 0) {
    ssize_t length = send(c->fd, c->out.bytes + c->out.start, buffer_length(&c->out), MSG_NOSIGNAL);
    if (length < 0) return errno == EAGAIN || errno == EINTR;
    buffer_consume(&c->out, (size_t)length);
  }
  return true;
}

void connection_pump(struct connection *c) {
  while (c->downloads != NULL && buffer_length(&c->out) < CONNECTION_OUT_HIGH) {
    struct download *d = c->downloads;
    size_t part = d->left < DOWNLOAD_PART ? (size_t)d->left : DOWNLOAD_PART;
    size_t begun = frame_begin(&c->out, ANSWER_DATA, d->id);
    ssize_t length = part == 0 ? 0 : pread(d->fd, buffer_reserve(&c->out, part), part, (off_t)d->offset);
    if (length > 0) {
      c->out.end += (size_t)length;
      d->offset += (uint64_t)length;
      d->left -= (uint64_t)length;
    }
    frame_end(&c->out, begun);
    if (length > 0 && d->left > 0) continue;
    if (length < 0) {
      connection_fail(c, d->id, errno, "read");
    } else {
      begun = frame_begin(&c->out, ANSWER_DONE, d->id);
      put_u64(&c->out, d->size);
      frame_end(&c->out, begun);
    }
    end_download(c);
  }
}

struct receiving *connection_receiving(struct connection *c, uint32_t id) {
  struct receiving *r = c->receiving;
  while (r != NULL && r->id != id) r = r->next;
  return r;
}

void connection_end_receiving(struct connection *c, struct receiving *receiving) {
  for (struct receiving **link = &c->receiving; *link != NULL; link = &(*link)->next)
    if (*link == receiving) {
      *link = receiving->next;
      break;
    }
  free(receiving);
}

bool connection_add_input(struct connection *c, uint32_t id, const uint8_t *bytes, size_t length) {
  struct input *input = c->inputs;
  while (input != NULL && input->id != id) input = input->next;
  if (input == NULL) {
    int fd = memfd_create("stdin", MFD_CLOEXEC);
    if (fd < 0) return false;
    input = must_alloc(sizeof *input);
    *input = (struct input){.next = c->inputs, .id = id, .fd = fd};
    c->inputs = input;
  }
  errno = EFBIG;
  if (input->size + length > MAX_INPUT) return false;
  input->size += length;
  return write(input->fd, bytes, length) == (ssize_t)length;
}

int connection_take_input(struct connection *c, uint32_t id) {
  for (struct input **link = &c->inputs; *link != NULL; link = &(*link)->next) {
    struct input *input = *link;
    if (input->id != id) continue;
    int fd = input->fd;
    *link = input->next;
    free(input);
    lseek(fd, 0, SEEK_SET);
    return fd;
  }
  return -1;
}

void connection_fail(struct connection *c, uint32_t id, int error, const char *what) {
  size_t begun = frame_begin(&c->out, ANSWER_FAIL, id);
  put_u32(&c->out, (uint32_t)error);
  put_string(&c->out, what);
  frame_end(&c->out, begun);
}
