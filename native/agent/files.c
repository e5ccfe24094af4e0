#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "resolve.h"

#define MAX_ENTRIES 100000
#define LIST_FRAME (256u << 10)

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

int files_make_directories(const char *path) {
  const char *below = path_in_workspace(path);
  if (below == NULL) return fail(EXDEV);
  char *copy = strdup(below);
  if (copy == NULL) return fail(ENOMEM);
  int fd = resolve_or_make(copy);
  int error = errno;
  free(copy);
  if (fd >= 0) close(fd);
  errno = error;
  return fd >= 0 ? 0 : -1;
}

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
