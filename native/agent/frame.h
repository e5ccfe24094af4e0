/*
 * What runtime and agent say to each other: `u32le length, u8 type, u32le id, payload`, where length counts what follows
 * it. The host chooses the ids; an answer carries the id of its request. src/sandboxes/process/frames.ts is the other side.
 */
#ifndef HOLDFAST_FRAME_H
#define HOLDFAST_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROTOCOL_VERSION 1
#define FRAME_HEADER 9
#define MAX_PAYLOAD (1u << 20)
/* Output that may be on its way to a reader that has not yet said that it read it. */
#define INITIAL_CREDIT (256u << 10)

enum request {
  REQUEST_EXEC = 1,    /* u32 timeoutMs, str operation, str command, str cwd, u32 n, n * str "NAME=value" */
  REQUEST_STDIN,       /* bytes; before EXEC with the same id */
  REQUEST_ATTACH,      /* str operation */
  REQUEST_CREDIT,      /* u32 bytes; id of an EXEC or ATTACH */
  REQUEST_DETACH,      /* id of an EXEC or ATTACH: no more output, only the exit */
  REQUEST_KILL,        /* str operation; answered when everything that it started is gone */
  REQUEST_READ,        /* u64 offset, u64 length, str path */
  REQUEST_WRITE,       /* u8 append, str path; then WRITE_DATA*, WRITE_END with the same id */
  REQUEST_WRITE_DATA,  /* bytes */
  REQUEST_WRITE_END,   /* makes it visible */
  REQUEST_STAT,        /* str path */
  REQUEST_LIST,        /* str path */
  REQUEST_DELETE,      /* u8 recursive, str path */
  REQUEST_MKDIR,       /* str path */
  REQUEST_PING,
  REQUEST_SHUTDOWN,
};

enum answer {
  ANSWER_READY = 64, /* u32 version; once, before everything else */
  ANSWER_STARTED,    /* the operation runs or is known */
  ANSWER_STDOUT,     /* bytes */
  ANSWER_STDERR,     /* bytes */
  ANSWER_EXIT,       /* i32 exit code or -1, u32 signal, u8 flags, u64 duration ms, u64 dropped bytes */
  ANSWER_DATA,       /* bytes of a file, or n * (u8 type, u64 size, str name) */
  ANSWER_DONE,       /* end of an answer; what is in it depends on the request */
  ANSWER_FAIL,       /* u32 errno, str what */
};

enum exit_flag { EXIT_TIMED_OUT = 1, EXIT_KILLED = 2, EXIT_LOST = 4 };

/* Bytes that grow; `start` is what has been taken from the front. */
struct buffer {
  uint8_t *bytes;
  size_t start, end, capacity;
};

static inline size_t buffer_length(const struct buffer *b) { return b->end - b->start; }
void *buffer_reserve(struct buffer *b, size_t length);
void buffer_consume(struct buffer *b, size_t length);
void buffer_free(struct buffer *b);

void put_u8(struct buffer *b, uint8_t value);
void put_u32(struct buffer *b, uint32_t value);
void put_u64(struct buffer *b, uint64_t value);
void put_bytes(struct buffer *b, const void *bytes, size_t length);
void put_string(struct buffer *b, const char *text);

/* Frames are written as header, payload, then `frame_end` with what `frame_begin` returned. */
size_t frame_begin(struct buffer *b, uint8_t type, uint32_t id);
void frame_end(struct buffer *b, size_t begun);
void frame_put(struct buffer *b, uint8_t type, uint32_t id, const void *payload, size_t length);

/* Reads a payload. After the first read past its end `bad` stays set and everything reads as zero. */
struct reader {
  const uint8_t *bytes;
  size_t left;
  bool bad;
};

uint8_t take_u8(struct reader *r);
uint32_t take_u32(struct reader *r);
uint64_t take_u64(struct reader *r);
/* A new C string, or NULL: at the end, or when it holds a zero byte. The caller frees it. */
char *take_string(struct reader *r);

/* Memory, or the end of the process: nothing here can go on without it. */
void *must_alloc(size_t length);
void *must_resize(void *memory, size_t length);

#endif
