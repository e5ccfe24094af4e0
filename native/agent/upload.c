/* Files on their way in: the part of files.h that writes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "resolve.h"

#define MAX_LINKS 20

static unsigned temporary_count;

static void name_temporary(struct upload *upload) {
  snprintf(upload->temporary, sizeof upload->temporary, ".holdfast-%x-%x", (unsigned)getpid(), ++temporary_count);
}

/*
 * Where a write to `path` must go: the directory and the name, with a link in the last place followed, so that the link
 * stays and its target is replaced.
 */
static int open_target(const char *path, char **copy, char **name) {
  char *current = strdup(path_in_workspace(path) != NULL ? path_in_workspace(path) : "");
  if (current == NULL || *current == 0) {
    free(current);
    return fail(EXDEV);
  }
  for (int links = 0; links < MAX_LINKS; links++) {
    char *parent, target[4096];
    *copy = strdup(current);
    if (*copy == NULL || !path_split(*copy, &parent, name)) {
      int refused = path_refuse(current);
      free(*copy);
      free(current);
      *copy = NULL;
      return refused;
    }
    int directory = resolve_or_make(parent);
    ssize_t length = directory < 0 ? -1 : readlinkat(directory, *name, target, sizeof target - 1);
    if (directory < 0 || length < 0) {
      free(current);
      return directory;
    }
    close(directory);
    target[length] = 0;
    free(current);
    current = must_alloc(strlen(*copy) + (size_t)length + 2);
    if (target[0] == '/') {
      if (path_in_workspace(target) == NULL) break;
      strcpy(current, path_in_workspace(target));
    } else {
      sprintf(current, "%s/%s", parent, target);
    }
    free(*copy);
    *copy = NULL;
    if (links + 1 == MAX_LINKS) {
      free(current);
      return fail(ELOOP);
    }
  }
  free(current);
  return fail(EXDEV);
}

static int copy_content(int from, int to) {
  static uint8_t bytes[64u << 10];
  for (;;) {
    ssize_t length = read(from, bytes, sizeof bytes);
    if (length <= 0) return (int)length;
    ssize_t written = write(to, bytes, (size_t)length);
    if (written != length) return written < 0 ? -1 : fail(ENOSPC);
  }
}

/* What the file that is replaced hands on: its permissions and, when appending, its content. */
static int inherit(struct upload *upload, bool append) {
  struct stat st;
  if (fstatat(upload->directory_fd, upload->name, &st, AT_SYMLINK_NOFOLLOW) != 0) return errno == ENOENT ? 0 : -1;
  if (S_ISDIR(st.st_mode)) return fail(EISDIR);
  if (!S_ISREG(st.st_mode)) return fail(EINVAL);
  if (fchmod(upload->fd, st.st_mode & 0777) != 0) return -1;
  if (!append) return 0;
  int old = openat(upload->directory_fd, upload->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (old < 0) return -1;
  /* It may be another file by now. */
  int result = fstat(old, &st) != 0 ? -1 : !S_ISREG(st.st_mode) ? fail(EINVAL) : copy_content(old, upload->fd);
  upload->size = (uint64_t)st.st_size;
  close_keeping_errno(old);
  return result;
}

/*
 * The new content has no name until it is whole, so that no listing shows it and a crash leaves nothing. Where the file
 * system cannot do that, it has a name of its own in the meantime.
 */
static int open_content(struct upload *upload) {
  int fd = openat(upload->directory_fd, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0644);
  if (fd >= 0) return fd;
  name_temporary(upload);
  int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  fd = openat(upload->directory_fd, upload->temporary, flags, 0644);
  if (fd < 0 && errno == EEXIST && unlinkat(upload->directory_fd, upload->temporary, 0) == 0)
    fd = openat(upload->directory_fd, upload->temporary, flags, 0644);
  return fd;
}

int files_begin_write(struct upload *upload, const char *path, bool append) {
  char *copy = NULL, *name = NULL;
  memset(upload, 0, sizeof *upload);
  upload->fd = -1;
  upload->directory_fd = open_target(path, &copy, &name);
  if (upload->directory_fd < 0) {
    int error = errno;
    free(copy);
    return fail(error);
  }
  upload->name = strdup(name);
  free(copy);
  upload->fd = open_content(upload);
  if (upload->fd >= 0 && inherit(upload, append) == 0) return 0;
  int error = errno;
  files_abandon(upload);
  return fail(error);
}

int files_write(struct upload *upload, const void *bytes, size_t length, uint64_t limit) {
  if (upload->size + length > limit) return fail(EFBIG);
  const uint8_t *from = bytes;
  while (length > 0) {
    ssize_t written = write(upload->fd, from, length);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return -1;
    from += written;
    length -= (size_t)written;
    upload->size += (uint64_t)written;
  }
  return 0;
}

static int give_name(const struct upload *upload, const char *name) {
  char content[40];
  snprintf(content, sizeof content, "/proc/self/fd/%d", upload->fd);
  return linkat(AT_FDCWD, content, upload->directory_fd, name, AT_SYMLINK_FOLLOW);
}

/* Only what replaces a file needs a second name, for the moment until it is renamed over the first. */
static int put_in_place(struct upload *upload) {
  if (upload->temporary[0] == 0) {
    if (give_name(upload, upload->name) == 0) return 0;
    if (errno != EEXIST) return -1;
    name_temporary(upload);
    unlinkat(upload->directory_fd, upload->temporary, 0);
    if (give_name(upload, upload->temporary) != 0) return -1;
  }
  return renameat(upload->directory_fd, upload->temporary, upload->directory_fd, upload->name);
}

int files_commit(struct upload *upload) {
  int result = fdatasync(upload->fd);
  if (result == 0) result = put_in_place(upload);
  int error = errno;
  files_abandon(upload);
  errno = error;
  return result;
}

void files_abandon(struct upload *upload) {
  if (upload->fd >= 0) {
    close(upload->fd);
    if (upload->temporary[0] != 0) unlinkat(upload->directory_fd, upload->temporary, 0);
  }
  if (upload->directory_fd >= 0) close(upload->directory_fd);
  free(upload->name);
  memset(upload, 0, sizeof *upload);
  upload->fd = upload->directory_fd = -1;
}
