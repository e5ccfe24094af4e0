#include "output.h"

#include <stdlib.h>
#include <string.h>

#include "frame.h"

#define HEAD_LIMIT (256u << 10)
#define TAIL_LIMIT (768u << 10)
#define SMALL_CHUNK 256u
#define LARGE_CHUNK (64u << 10)

static uint64_t chunk_end(const struct chunk *c) { return c->offset + c->length; }
static size_t chunk_cost(const struct chunk *c) { return sizeof *c + c->capacity; }

bool output_has_room(const struct output *o, uint64_t needed) {
  if (!o->head_full || o->tail.cost < TAIL_LIMIT) return true;
  return chunk_end(o->tail.first) <= needed;
}

static void drop_first(struct chunks *list) {
  struct chunk *first = list->first;
  list->first = first->next;
  if (list->first == NULL) list->last = NULL;
  list->cost -= chunk_cost(first);
  free(first);
}

/* A chunk doubles from its predecessor's size, so that a few bytes cost little and a flood costs few chunks. */
static struct chunk *add_chunk(struct chunks *list, uint8_t stream, uint64_t offset) {
  uint32_t capacity = SMALL_CHUNK;
  if (list->last != NULL && list->last->stream == stream && list->last->capacity < LARGE_CHUNK)
    capacity = list->last->capacity * 2;
  else if (list->last != NULL && list->last->stream == stream)
    capacity = LARGE_CHUNK;
  struct chunk *c = must_alloc(sizeof *c + capacity);
  *c = (struct chunk){.offset = offset, .capacity = capacity, .stream = stream};
  if (list->last != NULL) list->last->next = c;
  else list->first = c;
  list->last = c;
  list->cost += chunk_cost(c);
  return c;
}

static void drop_surplus(struct chunks *tail, uint64_t needed) {
  while (tail->cost > TAIL_LIMIT && tail->first != tail->last && chunk_end(tail->first) <= needed) drop_first(tail);
}

void output_append(struct output *o, uint8_t stream, const uint8_t *bytes, size_t length, uint64_t needed) {
  while (length > 0) {
    struct chunks *list = o->head_full ? &o->tail : &o->head;
    struct chunk *c = list->last;
    if (c == NULL || c->stream != stream || c->length == c->capacity) {
      if (list == &o->head && list->cost >= HEAD_LIMIT) {
        o->head_full = true;
        continue;
      }
      c = add_chunk(list, stream, o->total);
      drop_surplus(&o->tail, needed);
    }
    size_t part = c->capacity - c->length;
    if (part > length) part = length;
    memcpy(c->bytes + c->length, bytes, part);
    c->length += (uint32_t)part;
    o->total += part;
    bytes += part;
    length -= part;
  }
}

static const struct chunk *find(const struct chunks *list, uint64_t position) {
  if (list->last == NULL || position >= chunk_end(list->last)) return NULL;
  if (position >= list->last->offset) return list->last;
  const struct chunk *c = list->first;
  while (position >= chunk_end(c)) c = c->next;
  return c;
}

const struct chunk *output_at(const struct output *o, uint64_t *position, uint64_t *dropped) {
  const struct chunk *c = find(&o->head, *position);
  if (c == NULL) c = find(&o->tail, *position);
  uint64_t kept_from = c != NULL ? c->offset : o->total;
  if (kept_from > *position) {
    *dropped += kept_from - *position;
    *position = kept_from;
  }
  return c;
}

static void trim(struct chunks *list) {
  struct chunk **link = &list->first;
  list->cost = 0;
  while (*link != NULL) {
    struct chunk *c = *link;
    c = must_resize(c, sizeof *c + c->length);
    c->capacity = c->length;
    list->cost += chunk_cost(c);
    *link = c;
    list->last = c;
    link = &c->next;
  }
}

void output_trim(struct output *o) {
  trim(&o->head);
  trim(&o->tail);
}

void output_forget(struct output *o) {
  while (o->head.first != NULL) drop_first(&o->head);
  while (o->tail.first != NULL) drop_first(&o->tail);
}

size_t output_cost(const struct output *o) { return o->head.cost + o->tail.cost; }
