/*
 * What an operation has printed, in order of arrival and bounded: the first 256 KB stay for ever, of the rest the last
 * 768 KB. It lives in the agent's memory, which no command can read.
 */
#ifndef HOLDFAST_OUTPUT_H
#define HOLDFAST_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chunk {
  struct chunk *next;
  uint64_t offset; /* of its first byte in everything that was printed */
  uint32_t length, capacity;
  uint8_t stream; /* ANSWER_STDOUT or ANSWER_STDERR */
  uint8_t bytes[];
};

struct chunks {
  struct chunk *first, *last;
  size_t cost; /* memory that they take, their headers included */
};

struct output {
  struct chunks head, tail;
  bool head_full;
  uint64_t total; /* bytes printed, also those that were not kept */
};

/* Whether something can be appended without losing bytes at or after `needed` (UINT64_MAX: nobody reads). */
bool output_has_room(const struct output *o, uint64_t needed);
/* Never drops bytes at or after `needed`; without room it grows past its bounds instead, so ask first. */
void output_append(struct output *o, uint8_t stream, const uint8_t *bytes, size_t length, uint64_t needed);

/*
 * The chunk that holds `*position`, or NULL at the end. When these bytes were not kept, `*position` moves to the next that
 * were, and `*dropped` grows by what was skipped.
 */
const struct chunk *output_at(const struct output *o, uint64_t *position, uint64_t *dropped);

/* Gives back what the chunks do not use. For an operation that has ended. */
void output_trim(struct output *o);
/* Forgets the bytes, not how many there were. */
void output_forget(struct output *o);
size_t output_cost(const struct output *o);

#endif
