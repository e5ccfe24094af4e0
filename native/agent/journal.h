/*
 * Which operations started in this session, and how they ended, on disk outside of the sandbox. It outlives the agent, so
 * that no operation is taken for one that did not start. Only what was collected long ago is forgotten (`operations_limit`).
 *
 * A record is `u32le length, u8 kind, payload`; one that was cut by a crash ends the file.
 */
#ifndef HOLDFAST_JOURNAL_H
#define HOLDFAST_JOURNAL_H

#include <stdbool.h>

#include "operation.h"

/* Fills `operations` from the file that the launcher opened, and keeps its descriptor. -1: there is none. */
void journal_open(int fd);
/* Durable when it returns true; else errno. */
bool journal_started(const char *operation_id);
void journal_finished(const struct operation *op);
void journal_collected(const struct operation *op);
/* Rewrites a file that became large without the output in it. Only while no agent has it open. */
void journal_compact(const char *path);

#endif
