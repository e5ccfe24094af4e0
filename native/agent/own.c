#include "own.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int own_entries(int directory, uid_t uid);

static int own_entry(int directory, const char *name, uid_t uid) {
  struct stat st;
  if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) != 0) return -1;
  if (S_ISDIR(st.st_mode)) {
    int sub = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (sub < 0 || own_entries(sub, uid) != 0) return -1;
  }
  if (st.st_uid == uid && st.st_gid == uid) return 0;
  return fchownat(directory, name, uid, uid, AT_SYMLINK_NOFOLLOW);
}

/* Closes the descriptor. */
static int own_entries(int directory, uid_t uid) {
  DIR *entries = fdopendir(directory);
  if (entries == NULL) return -1;
  int result = 0;
  struct dirent *entry;
  while (result == 0 && (entry = readdir(entries)) != NULL) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    result = own_entry(directory, entry->d_name, uid);
  }
  int error = errno;
  closedir(entries);
  errno = error;
  return result;
}

int own_tree(const char *path, uid_t uid) {
  struct stat st;
  int top = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (top < 0 || fstat(top, &st) != 0) return -1;
  int result = 0;
  if (st.st_uid != uid) {
    result = own_entries(openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), uid);
    if (result == 0) result = fchown(top, uid, uid);
  }
  if (result == 0) result = fchmod(top, 0700);
  int error = errno;
  close(top);
  errno = error;
  return result;
}
