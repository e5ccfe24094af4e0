#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "linux.h"

#define ATTEMPTS 16
#define MAX_LINKS 20
#define MAX_ENTRIES 100000
#define LIST_FRAME (256u << 10)

static int workspace = -1;
static uint64_t workspace_mount;
static unsigned temporary_count;

static int fail(int error) {
  errno = error;
  return -1;
}

static void close_keeping_errno(int fd) {
  int error = errno;
  close(fd);
  errno = error;
}

/* ---- resolving ---- */

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
static const char *relative(const char *path) {
  if (path[0] == '/') {
    size_t length = strlen(WORKSPACE);
    if (strncmp(path, WORKSPACE, length) != 0 || (path[length] != 0 && path[length] != '/')) return NULL;
    path += length;
  }
  while (*path == '/') path++;
  return *path == 0 ? "." : path;
}

static int open_beneath(const char *path, int flags) {
  for (int attempt = 0;; attempt++) {
    int fd = openat2_v1(workspace, path, (uint64_t)flags | O_CLOEXEC, OPEN_BENEATH | OPEN_NO_MAGIC_LINKS);
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
static int resolve(const char *path, int flags) {
  const char *below = relative(path);
  if (below == NULL) return fail(EXDEV);
  int fd = open_beneath(below, O_PATH | flags);
  if (fd < 0 && errno == EXDEV) fd = open_through_absolute_link(below, O_PATH | flags);
  return fd;
}

/* Below a file there is nothing: to a reader that is the same as "does not exist". */
static int resolve_existing(const char *path) {
  int fd = resolve(path, 0);
  if (fd < 0 && errno == ENOTDIR) errno = ENOENT;
  return fd;
}

/* A usable descriptor of what an O_PATH descriptor stands for: the same file, whatever its name leads to by now. */
static int reopen(int fd, int flags) {
  char path[40];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

int files_open_directory(const char *path) { return resolve(path, O_DIRECTORY); }

int files_stat(const char *path, struct stat *st) {
  int fd = resolve_existing(path);
  if (fd < 0) return -1;
  int result = fstat(fd, st);
  close_keeping_errno(fd);
  return result;
}

int files_open_regular(const char *path, struct stat *st) {
  int fd = resolve_existing(path);
  if (fd < 0) return -1;
  int file = -1;
  if (fstat(fd, st) != 0) file = -1;
  else if (S_ISDIR(st->st_mode)) file = fail(EISDIR);
  else if (!S_ISREG(st->st_mode)) file = fail(EINVAL);
  else file = reopen(fd, O_RDONLY);
  close_keeping_errno(fd);
  return file;
}

/* ---- parents and last names ---- */

/* Cuts "a/b//c/" into "a/b" and "c". False when the last name is no name of a file (".", "..", nothing). */
static bool split(char *path, char **parent, char **name) {
  size_t length = strlen(path);
  while (length > 0 && path[length - 1] == '/') path[--length] = 0;
  char *slash = strrchr(path, '/');
  *name = slash == NULL ? path : slash + 1;
  *parent = slash == NULL ? "." : path;
  if (slash != NULL) *slash = 0;
  return strcmp(*name, "") != 0 && strcmp(*name, ".") != 0 && strcmp(*name, "..") != 0;
}

/* A path that only seems to end in the workspace: say so before anything else is found wrong with it. */
static int refuse_name(const char *path) {
  int fd = resolve(path, 0);
  if (fd < 0) return -1;
  close(fd);
  return fail(EBUSY);
}

/* The directory that holds the last name of `path`, which stays in `*name`; `copy` is what the caller frees. */
static int open_parent(const char *path, char **copy, char **name) {
  const char *below = relative(path);
  *copy = NULL;
  if (below == NULL) return fail(EXDEV);
  *copy = strdup(below);
  if (*copy == NULL) return fail(ENOMEM);
  char *parent;
  if (!split(*copy, &parent, name)) return refuse_name(path);
  return resolve(parent, O_DIRECTORY);
}

static int make_and_open(int parent, const char *name) {
  if (mkdirat(parent, name, 0755) != 0 && errno != EEXIST) return -1;
  return openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Opens the directory, making what is missing: each step is taken from the descriptor of the one before. */
static int open_or_make(char *path) {
  int fd = resolve(path, O_DIRECTORY);
  if (fd >= 0 || errno != ENOENT) return fd;
  char *copy = strdup(path), *parent, *name;
  if (copy == NULL) return fail(ENOMEM);
  if (!split(copy, &parent, &name)) {
    free(copy);
    return fail(ENOENT);
  }
  int above = strcmp(parent, "") == 0 ? -1 : open_or_make(parent);
  if (above >= 0) {
    fd = make_and_open(above, name);
    close_keeping_errno(above);
  }
  free(copy);
  return fd;
}

int files_make_directories(const char *path) {
  const char *below = relative(path);
  if (below == NULL) return fail(EXDEV);
  char *copy = strdup(below);
  if (copy == NULL) return fail(ENOMEM);
  int fd = open_or_make(copy);
  int error = errno;
  free(copy);
  if (fd >= 0) close(fd);
  errno = error;
  return fd >= 0 ? 0 : -1;
}

/* ---- writing ---- */

/*
 * Where a write to `path` must go: the directory and the name, with a link in the last place followed, so that the link
 * stays and its target is replaced.
 */
static int open_target(const char *path, char **copy, char **name) {
  char *current = strdup(relative(path) != NULL ? relative(path) : "");
  if (current == NULL || *current == 0) {
    free(current);
    return fail(EXDEV);
  }
  for (int links = 0; links < MAX_LINKS; links++) {
    char *parent, target[4096];
    *copy = strdup(current);
    if (*copy == NULL || !split(*copy, &parent, name)) {
      int refused = refuse_name(current);
      free(*copy);
      free(current);
      *copy = NULL;
      return refused;
    }
    int directory = open_or_make(parent);
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
      if (relative(target) == NULL) break;
      strcpy(current, relative(target));
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
  snprintf(upload->temporary, sizeof upload->temporary, ".holdfast-%x-%x", (unsigned)getpid(), ++temporary_count);
  upload->fd = openat(upload->directory_fd, upload->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (upload->fd < 0 && errno == EEXIST && unlinkat(upload->directory_fd, upload->temporary, 0) == 0)
    upload->fd = openat(upload->directory_fd, upload->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
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

int files_commit(struct upload *upload) {
  int result = fdatasync(upload->fd);
  if (result == 0) result = renameat(upload->directory_fd, upload->temporary, upload->directory_fd, upload->name);
  int error = errno;
  files_abandon(upload);
  errno = error;
  return result;
}

void files_abandon(struct upload *upload) {
  if (upload->fd >= 0) {
    close(upload->fd);
    unlinkat(upload->directory_fd, upload->temporary, 0);
  }
  if (upload->directory_fd >= 0) close(upload->directory_fd);
  free(upload->name);
  memset(upload, 0, sizeof *upload);
  upload->fd = upload->directory_fd = -1;
}

/* ---- listing ---- */

static uint8_t type_of(mode_t mode) {
  return S_ISREG(mode) ? 1 : S_ISDIR(mode) ? 2 : S_ISLNK(mode) ? 3 : 4;
}

int files_list(const char *path, struct buffer *frames, uint32_t id) {
  int fd = resolve_existing(path);
  if (fd < 0) return -1;
  struct stat st;
  int readable = fstat(fd, &st) != 0 ? -1 : S_ISDIR(st.st_mode) ? reopen(fd, O_RDONLY | O_DIRECTORY) : fail(ENOTDIR);
  close_keeping_errno(fd);
  DIR *directory = readable < 0 ? NULL : fdopendir(readable);
  if (directory == NULL) return -1;
  size_t begun = frame_begin(frames, ANSWER_DATA, id);
  struct dirent *entry;
  int count = 0;
  while ((entry = readdir(directory)) != NULL && count < MAX_ENTRIES) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (fstatat(readable, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
    put_u8(frames, type_of(st.st_mode));
    put_u64(frames, (uint64_t)st.st_size);
    put_string(frames, entry->d_name);
    count++;
    if (buffer_length(frames) - begun < LIST_FRAME) continue;
    frame_end(frames, begun);
    begun = frame_begin(frames, ANSWER_DATA, id);
  }
  frame_end(frames, begun);
  closedir(directory);
  return count < MAX_ENTRIES ? 0 : fail(E2BIG);
}

/* ---- deleting ---- */

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
      snprintf(moved, sizeof moved, ".holdfast-%x-%x", (unsigned)getpid(), ++temporary_count);
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
  int parent = open_parent(path, &copy, &name);
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
