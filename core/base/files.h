// Whole files and directories of our own host, with the one durable way to replace a file:
// temporary name, write, fsync, rename, fsync of the directory.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/base/fd.h"

namespace zoneferry {

Result<std::string> read_file(const std::string& path, std::uint64_t bytes_max);
// On return the new content survives a power cut; on error the old file is untouched. What a writer of this very file
// that was killed has left beside it is removed first.
Status replace_file(const std::string& path, std::string_view content, mode_t mode);
// The same below a held directory; name is one component.
Status replace_file_at(int directory, const std::string& name, std::string_view content, mode_t mode);
// Removes the temporary files of writers that were killed, whatever file they wrote. A missing directory is no error.
Status remove_stale_temporaries(const std::string& path);
Status remove_stale_temporaries_at(int directory);
Status remove_file(const std::string& path);  // durable; a missing file is no error
Status sync_directory(const std::string& path);
Status make_directories(const std::string& path, mode_t mode);  // like mkdir -p; mode for the new ones
bool path_exists(const std::string& path);                      // also a dangling link
// Sorted names of a directory, without "." and "..".
Result<std::vector<std::string>> list_directory(const std::string& path);
Result<std::vector<std::string>> list_directory_fd(int directory);
// Takes off what forbids changes (immutable, append-only, a read-only subvolume); true if there was something.
bool thaw(int fd);
// Removes name and all below it through held directory descriptors: never follows a link, never leaves the
// file system it started on (a mount point inside is an error). A missing name is no error; what is immutable or
// append-only goes too.
Status remove_tree_at(int directory, const std::string& name);
// The same by path, and durable when it returns.
Status remove_tree(const std::string& path);

}  // namespace zoneferry
