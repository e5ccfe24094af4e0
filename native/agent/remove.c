/* Deleting, also trees of any depth: the part of files.h that removes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "resolve.h"

static unsigned moved_count;

static int open_for_emptying(int parent, const char *name) {
  int path = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (path < 0) return -1;
  int fd = reopen(path, O_RDONLY | O_DIRECTORY);
  if (fd < 0 && errno == EACCES) {
    /* A directory without permissions is still its owner's. */
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", path);
    if (chmod(link, 0700) == 0) fd = reopen(path, O_RDONLY | O_DIRECTORY);
  }
  close_keeping_errno(path);
  if (fd >= 0) {
    struct stat st;
    if (fstat(fd, &st) == 0 && (st.st_mode & 0700) != 0700) fchmod(fd, 0700);
  }
  return fd;
}

/*
 * Empties a directory. Directories in it that are not empty are moved up to `top` and emptied in a later pass, so that any
 * depth takes two descriptors and no recursion. Returns how many entries were removed or moved, or -1.
 */
static long empty(int directory, int top) {
  int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *entries = copy < 0 ? NULL : fdopendir(copy);
  if (entries == NULL) return -1;
  long done = 0;
  struct dirent *entry;
  while (done >= 0 && (entry = readdir(entries)) != NULL) {
    const char *name = entry->d_name;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
    if (unlinkat(directory, name, 0) == 0 || errno == ENOENT || unlinkat(directory, name, AT_REMOVEDIR) == 0) {
      done++;
      continue;
    }
    if (errno == ENOTDIR) errno = EACCES;
    int sub = errno == ENOTEMPTY ? open_for_emptying(directory, name) : -1;
    if (sub < 0) {
      done = -1;
      break;
    }
    if (directory == top) {
      long inside = empty(sub, top);
      done = inside < 0 ? -1 : done + inside;
    } else {
      char moved[40];
      snprintf(moved, sizeof moved, ".holdfast-moved-%x-%x", (unsigned)getpid(), ++moved_count);
      done = renameat(directory, name, top, moved) == 0 ? done + 1 : -1;
    }
    close_keeping_errno(sub);
  }
  int error = errno;
  closedir(entries);
  errno = error;
  return done;
}

static int delete_tree(int parent, const char *name) {
  int top = open_for_emptying(parent, name);
  if (top < 0) return -1;
  long done;
  /* Until nothing is left; who fills it faster than it is emptied gets ENOTEMPTY below. */
  for (int pass = 0; (done = empty(top, top)) > 0 && pass < 1 << 20;) pass++;
  close_keeping_errno(top);
  return done < 0 ? -1 : unlinkat(parent, name, AT_REMOVEDIR);
}

int files_delete(const char *path, bool recursive) {
  char *copy, *name;
  int parent = resolve_parent(path, &copy, &name);
  if (parent < 0) {
    int error = errno == ENOTDIR ? ENOENT : errno;
    free(copy);
    return fail(error);
  }
  struct stat st;
  int result = fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW);
  if (result == 0 && !S_ISDIR(st.st_mode)) result = unlinkat(parent, name, 0);
  else if (result == 0 && !recursive) result = fail(EISDIR);
  else if (result == 0) result = delete_tree(parent, name);
  int error = errno;
  close(parent);
  free(copy);
  errno = error;
  return result;
}
