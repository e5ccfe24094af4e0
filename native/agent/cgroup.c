#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define ATTEMPTS 500

int cgroup_join(const char *directory) {
  char path[4096];
  snprintf(path, sizeof path, "%s/cgroup.procs", directory);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  int result = write(fd, "0", 1) == 1 ? 0 : -1;
  int error = errno;
  close(fd);
  errno = error;
  return result;
}

static void kill_members(const char *directory) {
  char path[4096];
  snprintf(path, sizeof path, "%s/cgroup.procs", directory);
  FILE *members = fopen(path, "re");
  if (members == NULL) return;
  int pid;
  while (fscanf(members, "%d", &pid) == 1)
    if (pid > 1) kill(pid, SIGKILL);
  fclose(members);
}

static void pause_ms(long ms) {
  struct timespec time = {0, ms * 1000000};
  nanosleep(&time, NULL);
}

/* A group can be removed when its last process is gone, which may be a moment after its death. */
void cgroup_remove(const char *directory) {
  for (int attempt = 0; attempt < ATTEMPTS && rmdir(directory) != 0 && errno == EBUSY; attempt++) {
    kill_members(directory);
    pause_ms(attempt < 20 ? 1 : 10);
  }
}
