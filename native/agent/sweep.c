#include "sweep.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frame.h"

#define MAX_PROCESSES 65536
#define STOP_ROUNDS 24
#define ORPHAN_ROUNDS 64

struct process {
  pid_t pid, parent;
  char state;
  bool below; /* the ancestor */
};

static bool read_process(pid_t pid, struct process *process) {
  char path[32], text[512];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  if (length <= 0) return false;
  text[length] = 0;
  /* The name stands in parentheses and may hold anything, parentheses too: read after the last one. */
  char *after = strrchr(text, ')');
  int parent;
  char state;
  if (after == NULL || sscanf(after + 1, " %c %d", &state, &parent) != 2) return false;
  *process = (struct process){pid, parent, state, false};
  return true;
}

static size_t read_processes(struct process **list) {
  size_t count = 0, capacity = 64;
  *list = must_alloc(capacity * sizeof **list);
  DIR *proc = opendir("/proc");
  if (proc == NULL) return 0;
  struct dirent *entry;
  while (count < MAX_PROCESSES && (entry = readdir(proc)) != NULL) {
    if (!isdigit((unsigned char)entry->d_name[0])) continue;
    if (count == capacity) *list = must_resize(*list, (capacity *= 2) * sizeof **list);
    if (read_process((pid_t)atoi(entry->d_name), *list + count)) count++;
  }
  closedir(proc);
  return count;
}

static bool is_among(pid_t pid, const pid_t *pids, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (pids[i] == pid) return true;
  return false;
}

/* Children have mostly higher pids than their parents, so that one or two passes do. */
static void mark_descendants(struct process *list, size_t count, pid_t ancestor, const pid_t *spared, size_t spared_count) {
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = 0; i < count; i++) {
      if (list[i].below || is_among(list[i].pid, spared, spared_count)) continue;
      bool below = list[i].parent == ancestor;
      for (size_t j = 0; !below && j < count; j++) below = list[j].pid == list[i].parent && list[j].below;
      if (below) list[i].below = changed = true;
    }
  }
}

/* Signals all living descendants that are not in `state` yet; returns to how many. */
static int signal_descendants(pid_t ancestor, const pid_t *spared, size_t spared_count, int signal, char state) {
  struct process *list;
  size_t count = read_processes(&list);
  mark_descendants(list, count, ancestor, spared, spared_count);
  int signalled = 0;
  for (size_t i = 0; i < count; i++) {
    if (!list[i].below || list[i].state == 'Z' || list[i].state == 'X' || list[i].state == state) continue;
    if (kill(list[i].pid, signal) == 0) signalled++;
  }
  free(list);
  return signalled;
}

/*
 * A process that forks and exits at once hands its child to the ancestor. Reading the ancestor's children is much faster
 * than a look at all of /proc, fast enough to hit the newest link of such a chain.
 */
static void kill_orphans(pid_t ancestor, const pid_t *spared, size_t spared_count) {
  char path[64], text[4096];
  snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)ancestor, (int)ancestor);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  for (int round = 0; round < ORPHAN_ROUNDS; round++) {
    ssize_t length = pread(fd, text, sizeof text - 1, 0);
    if (length <= 0) break;
    text[length] = 0;
    for (char *at = text, *end; *at != 0; at = end) {
      long pid = strtol(at, &end, 10);
      if (end == at) break;
      /* The last number may be cut. */
      if (*end == 0) break;
      if (pid > 1 && !is_among((pid_t)pid, spared, spared_count)) kill((pid_t)pid, SIGKILL);
      while (*end == ' ') end++;
    }
  }
  close(fd);
}

bool sweep_descendants(pid_t ancestor, const pid_t *spared, size_t spared_count) {
  /* Stop first: a tree at a standstill cannot fork into the slots that its dead leave free. */
  int found = 0;
  for (int round = 0; round < STOP_ROUNDS; round++) {
    int stopped = signal_descendants(ancestor, spared, spared_count, SIGSTOP, 'T');
    found += stopped;
    if (stopped == 0) break;
  }
  found += signal_descendants(ancestor, spared, spared_count, SIGKILL, 0);
  if (found > 0) kill_orphans(ancestor, spared, spared_count);
  return found > 0;
}
