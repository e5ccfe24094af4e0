/*
 * From a path to a descriptor, without ever leaving the workspace. Every path is resolved by the kernel from inside the
 * sandbox; what lies elsewhere is refused (EXDEV), also when a link on the way is swapped during the call.
 */
#ifndef HOLDFAST_RESOLVE_H
#define HOLDFAST_RESOLVE_H

#include <stdbool.h>

/* Sets errno; returns -1. */
int fail(int error);
void close_keeping_errno(int fd);

/* The path below the workspace, or NULL when it names something else. */
const char *path_in_workspace(const char *path);
/* Cuts "a/b//c/" into "a/b" and "c". False when the last name is no name of a file (".", "..", nothing). */
bool path_split(char *path, char **parent, char **name);
/* Fails, with EXDEV when the path leaves the workspace and EBUSY when it names something that it must not. */
int path_refuse(const char *path);

/* An O_PATH descriptor of what the path names, links followed. -1 with errno. */
int resolve(const char *path, int flags);
/* The same for readers, to whom "below a file" is "does not exist". */
int resolve_existing(const char *path);
/* The directory that holds the last name of `path`, which stays in `*name`; the caller frees `*copy`, also on failure. */
int resolve_parent(const char *path, char **copy, char **name);
/* A directory below the workspace, made with its parents where it is missing. */
int resolve_or_make(char *path);
/* A usable descriptor of what an O_PATH descriptor stands for: the same file, whatever its name leads to by now. */
int reopen(int fd, int flags);

#endif
