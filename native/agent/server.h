/*
 * The agent: the first process inside a sandbox. It speaks frames with every runtime that connects to the socket that it
 * inherited, and goes on when one leaves.
 */
#ifndef HOLDFAST_SERVER_H
#define HOLDFAST_SERVER_H

#include "frame.h"

#define LISTEN_FD 3
#define JOURNAL_FD 5
/* More than this waiting to be sent: no further output and no further requests of that connection until it has read. */
#define CONNECTION_OUT_HIGH (512u << 10)

struct connection;
struct buffer *connection_out(struct connection *connection);

int serve(int argc, char **argv);

#endif
