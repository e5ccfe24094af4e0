#include "frame.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEEP_CAPACITY (64u << 10)

void *must_alloc(size_t length) { return must_resize(NULL, length); }

void *must_resize(void *memory, size_t length) {
  void *resized = realloc(memory, length > 0 ? length : 1);
  if (resized == NULL) _exit(70);
  return resized;
}

void *buffer_reserve(struct buffer *b, size_t length) {
  if (b->capacity - b->end >= length) return b->bytes + b->end;
  if (b->start > 0) {
    memmove(b->bytes, b->bytes + b->start, b->end - b->start);
    b->end -= b->start;
    b->start = 0;
  }
  if (b->capacity - b->end < length) {
    size_t wanted = b->capacity < 1024 ? 1024 : b->capacity * 2;
    if (wanted < b->end + length) wanted = b->end + length;
    b->bytes = must_resize(b->bytes, wanted);
    b->capacity = wanted;
  }
  return b->bytes + b->end;
}

void buffer_consume(struct buffer *b, size_t length) {
  b->start += length;
  if (b->start < b->end) return;
  if (b->capacity > KEEP_CAPACITY) {
    buffer_free(b);
  } else {
    b->start = b->end = 0;
  }
}

void buffer_free(struct buffer *b) {
  free(b->bytes);
  memset(b, 0, sizeof *b);
}

static void put_little_endian(struct buffer *b, uint64_t value, size_t size) {
  uint8_t *at = buffer_reserve(b, size);
  for (size_t i = 0; i < size; i++) at[i] = (uint8_t)(value >> (8 * i));
  b->end += size;
}

void put_u8(struct buffer *b, uint8_t value) { put_little_endian(b, value, 1); }
void put_u32(struct buffer *b, uint32_t value) { put_little_endian(b, value, 4); }
void put_u64(struct buffer *b, uint64_t value) { put_little_endian(b, value, 8); }

void put_bytes(struct buffer *b, const void *bytes, size_t length) {
  if (length == 0) return;
  memcpy(buffer_reserve(b, length), bytes, length);
  b->end += length;
}

void put_string(struct buffer *b, const char *text) {
  put_u32(b, (uint32_t)strlen(text));
  put_bytes(b, text, strlen(text));
}

/* Positions are counted from `start`, because reserving may move the bytes. */
size_t frame_begin(struct buffer *b, uint8_t type, uint32_t id) {
  size_t begun = buffer_length(b);
  put_u32(b, 0);
  put_u8(b, type);
  put_u32(b, id);
  return begun;
}

void frame_end(struct buffer *b, size_t begun) {
  uint32_t length = (uint32_t)(buffer_length(b) - begun - 4);
  uint8_t *at = b->bytes + b->start + begun;
  for (size_t i = 0; i < 4; i++) at[i] = (uint8_t)(length >> (8 * i));
}

void frame_put(struct buffer *b, uint8_t type, uint32_t id, const void *payload, size_t length) {
  size_t begun = frame_begin(b, type, id);
  put_bytes(b, payload, length);
  frame_end(b, begun);
}

static uint64_t take_little_endian(struct reader *r, size_t size) {
  if (r->bad || r->left < size) {
    r->bad = true;
    return 0;
  }
  uint64_t value = 0;
  for (size_t i = 0; i < size; i++) value |= (uint64_t)r->bytes[i] << (8 * i);
  r->bytes += size;
  r->left -= size;
  return value;
}

uint8_t take_u8(struct reader *r) { return (uint8_t)take_little_endian(r, 1); }
uint32_t take_u32(struct reader *r) { return (uint32_t)take_little_endian(r, 4); }
uint64_t take_u64(struct reader *r) { return take_little_endian(r, 8); }

char *take_string(struct reader *r) {
  uint32_t length = take_u32(r);
  if (r->bad || length > r->left || memchr(r->bytes, 0, length) != NULL) {
    r->bad = true;
    return NULL;
  }
  char *text = must_alloc((size_t)length + 1);
  memcpy(text, r->bytes, length);
  text[length] = 0;
  r->bytes += length;
  r->left -= length;
  return text;
}
