#ifndef HOLDFAST_CONNECTION_H
#define HOLDFAST_CONNECTION_H

#include <stdbool.h>
#include <sys/types.h>

#include "files.h"
#include "frame.h"

/* A file that is being sent. */
struct download {
  struct download *next;
  uint32_t id;
  int fd;
  uint64_t offset, left, size;
};

/* A file that is being received. */
struct receiving {
  struct receiving *next;
  uint32_t id;
  struct upload upload;
};

/* Standard input that is being received, before its EXEC. */
struct input {
  struct input *next;
  uint32_t id;
  int fd;
  size_t size;
};

struct connection {
  struct connection *next;
  int fd;
  bool broken; /* to be closed */
  struct buffer in, out;
  struct download *downloads;
  struct receiving *receiving;
  struct input *inputs;
};

extern struct connection *connections;

void connection_accept(int listen_fd);
/* Closes it with everything that it has under way, except operations: these go on. */
void connection_close(struct connection *connection);
/* False at the end of the stream or when it failed. */
bool connection_read(struct connection *connection);
bool connection_write(struct connection *connection);
/* Sends more of the files that were asked for. */
void connection_pump(struct connection *connection);

struct receiving *connection_receiving(struct connection *connection, uint32_t id);
void connection_end_receiving(struct connection *connection, struct receiving *receiving);
/* Appends to the input with this id. False, with errno, when it cannot be kept. */
bool connection_add_input(struct connection *connection, uint32_t id, const uint8_t *bytes, size_t length);
/* The input's descriptor, rewound, now the caller's; -1 when there is none. */
int connection_take_input(struct connection *connection, uint32_t id);

void connection_fail(struct connection *connection, uint32_t id, int error, const char *what);

#endif
