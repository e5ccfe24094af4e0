#ifndef HOLDFAST_REQUEST_H
#define HOLDFAST_REQUEST_H

#include "connection.h"
#include "operation.h"

extern struct limits limits;
extern bool shutdown_requested;

/* Answers what has arrived. A connection that does not speak the protocol is marked as broken. */
void requests_handle(struct connection *connection, uint64_t now);

#endif
