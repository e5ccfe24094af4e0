/*
 * Files of the workspace, for the runtime. Every path is resolved by the kernel from inside the sandbox; what does not lie
 * in the workspace is refused (EXDEV), also when a link on the way is swapped during the call. Nothing here waits for a
 * FIFO or a device: only regular files are opened for their content.
 */
#ifndef HOLDFAST_FILES_H
#define HOLDFAST_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "frame.h"

#define WORKSPACE "/workspace"

/* False, with errno, when the workspace is not there. */
bool files_open_workspace(void);

/* All of these return -1 with errno when they fail. ENOENT: it does not exist. */
int files_open_directory(const char *path); /* O_PATH */
int files_open_regular(const char *path, struct stat *st);
int files_stat(const char *path, struct stat *st);
int files_list(const char *path, struct buffer *frames, uint32_t id);
int files_delete(const char *path, bool recursive);
int files_make_directories(const char *path);

/* A file on its way: it appears under its name, whole, with `files_commit`. */
struct upload {
  int directory_fd, fd;
  char *name, temporary[40]; /* a name until it has its own; empty while it has none */
  uint64_t size;
};

int files_begin_write(struct upload *upload, const char *path, bool append);
int files_write(struct upload *upload, const void *bytes, size_t length, uint64_t limit);
/* Both end the upload. */
int files_commit(struct upload *upload);
void files_abandon(struct upload *upload);

#endif
