#include "resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "frame.h"
#include "linux.h"

#define ATTEMPTS 16

static int workspace = -1;
static uint64_t workspace_mount;

int fail(int error) {
  errno = error;
  return -1;
}

void close_keeping_errno(int fd) {
  int error = errno;
  close(fd);
  errno = error;
}

/* The id of the mount that a descriptor lies in. Nothing can be mounted inside, so it tells the workspace from the rest. */
static bool mount_of(int fd, uint64_t *mount) {
  char path[48], text[256];
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
  int info = open(path, O_RDONLY | O_CLOEXEC);
  if (info < 0) return false;
  ssize_t length = read(info, text, sizeof text - 1);
  close(info);
  if (length <= 0) return false;
  text[length] = 0;
  const char *at = strstr(text, "mnt_id:");
  if (at == NULL) return false;
  *mount = strtoull(at + 7, NULL, 10);
  return true;
}

bool files_open_workspace(void) {
  workspace = open(WORKSPACE, O_PATH | O_DIRECTORY | O_CLOEXEC);
  return workspace >= 0 && mount_of(workspace, &workspace_mount);
}

/* The path below the workspace, or NULL when it names something else. */
const char *path_in_workspace(const char *path) {
  if (path[0] == '/') {
    size_t length = strlen(WORKSPACE);
    if (strncmp(path, WORKSPACE, length) != 0 || (path[length] != 0 && path[length] != '/')) return NULL;
    path += length;
  }
  while (*path == '/') path++;
  return *path == 0 ? "." : path;
}

/* A command may have taken its own right to enter the workspace (chmod -R); then no other could give it back. */
static bool unlock_workspace(void) {
  struct stat st;
  return fstat(workspace, &st) == 0 && (st.st_mode & 0700) != 0700 && chmod(WORKSPACE, 0700) == 0;
}

static int open_beneath(const char *path, int flags) {
  for (int attempt = 0;; attempt++) {
    int fd = openat2_v1(workspace, path, (uint64_t)flags | O_CLOEXEC, OPEN_BENEATH | OPEN_NO_MAGIC_LINKS);
    if (fd < 0 && errno == EACCES && attempt < ATTEMPTS && unlock_workspace()) continue;
    /* EAGAIN: something on the way was renamed meanwhile. */
    if (fd >= 0 || errno != EAGAIN || attempt == ATTEMPTS) return fd;
  }
}

/*
 * A link with an absolute target is refused by the kernel although "/workspace/x" is fine. Then the path is followed
 * without that rule, to a descriptor that can do nothing (O_PATH), and kept only when it lies in the workspace's mount.
 */
static int open_through_absolute_link(const char *path, int flags) {
  char *absolute = must_alloc(strlen(WORKSPACE) + strlen(path) + 2);
  sprintf(absolute, "%s/%s", WORKSPACE, path);
  int fd = openat2_v1(AT_FDCWD, absolute, (uint64_t)flags | O_CLOEXEC, OPEN_NO_MAGIC_LINKS);
  free(absolute);
  uint64_t mount;
  if (fd >= 0 && mount_of(fd, &mount) && mount == workspace_mount) return fd;
  if (fd >= 0) close(fd);
  return fail(EXDEV);
}

/* An O_PATH descriptor of what the path names, links followed. */
int resolve(const char *path, int flags) {
  const char *below = path_in_workspace(path);
  if (below == NULL) return fail(EXDEV);
  int fd = open_beneath(below, O_PATH | flags);
  if (fd < 0 && errno == EXDEV) fd = open_through_absolute_link(below, O_PATH | flags);
  return fd;
}

/* Below a file there is nothing: to a reader that is the same as "does not exist". */
int resolve_existing(const char *path) {
  int fd = resolve(path, 0);
  if (fd < 0 && errno == ENOTDIR) errno = ENOENT;
  return fd;
}

/* A usable descriptor of what an O_PATH descriptor stands for: the same file, whatever its name leads to by now. */
int reopen(int fd, int flags) {
  char path[40];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

/* Cuts "a/b//c/" into "a/b" and "c". False when the last name is no name of a file (".", "..", nothing). */
bool path_split(char *path, char **parent, char **name) {
  size_t length = strlen(path);
  while (length > 0 && path[length - 1] == '/') path[--length] = 0;
  char *slash = strrchr(path, '/');
  *name = slash == NULL ? path : slash + 1;
  *parent = slash == NULL ? "." : path;
  if (slash != NULL) *slash = 0;
  return strcmp(*name, "") != 0 && strcmp(*name, ".") != 0 && strcmp(*name, "..") != 0;
}

/* A path that only seems to end in the workspace: say so before anything else is found wrong with it. */
int path_refuse(const char *path) {
  int fd = resolve(path, 0);
  if (fd < 0) return -1;
  close(fd);
  return fail(EBUSY);
}

/* The directory that holds the last name of `path`, which stays in `*name`; `copy` is what the caller frees. */
int resolve_parent(const char *path, char **copy, char **name) {
  const char *below = path_in_workspace(path);
  *copy = NULL;
  if (below == NULL) return fail(EXDEV);
  *copy = strdup(below);
  if (*copy == NULL) return fail(ENOMEM);
  char *parent;
  if (!path_split(*copy, &parent, name)) return path_refuse(path);
  return resolve(parent, O_DIRECTORY);
}

static int make_and_open(int parent, const char *name) {
  if (mkdirat(parent, name, 0755) != 0 && errno != EEXIST) return -1;
  return openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Opens the directory, making what is missing: each step is taken from the descriptor of the one before. */
int resolve_or_make(char *path) {
  int fd = resolve(path, O_DIRECTORY);
  if (fd >= 0 || errno != ENOENT) return fd;
  char *copy = strdup(path), *parent, *name;
  if (copy == NULL) return fail(ENOMEM);
  if (!path_split(copy, &parent, &name)) {
    free(copy);
    return fail(ENOENT);
  }
  int above = strcmp(parent, "") == 0 ? -1 : resolve_or_make(parent);
  if (above >= 0) {
    fd = make_and_open(above, name);
    close_keeping_errno(above);
  }
  free(copy);
  return fd;
}
