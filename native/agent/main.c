/*
 * One static program with two lives: outside, `launch` starts a sandbox and stays its parent; inside, `serve` is its first
 * process. Read launcher.h, then server.h; frame.h says how the runtime speaks with it.
 */
#include <stdio.h>
#include <string.h>

#include "launcher.h"
#include "server.h"

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "launch") == 0) return launch(argc - 2, argv + 2);
  if (argc > 1 && strcmp(argv[1], "serve") == 0) return serve(argc - 2, argv + 2);
  fprintf(stderr, "usage: holdfast-agent launch|serve ...\n");
  return 2;
}
