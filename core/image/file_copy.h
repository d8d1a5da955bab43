// Copies one entry of a source directory into a ImageWriter, with everything a zone keeps of it: bytes and holes, hard
// links within the copied set, ids, mode, times, kept extended attributes and ACLs. The source is read by descriptors
// and never followed through a link.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "core/image/image_writer.h"

namespace zoneferry {

enum class CopyScope {
    system,      // what a new zone may have of it: no devices, no sockets, only the attributes of is_kept_xattr()
    everything,  // a zone's own tree
};

enum class CopyOutcome {
    copied,
    left_out,  // a device or a socket: a zone makes its own, or may not have it
};

class FileCopier {
public:
    explicit FileCopier(ImageWriter& writer, CopyScope scope = CopyScope::system) : writer_(writer), scope_(scope) {}

    // name: one component of the open directory `from`; info: its fresh lstat; path: where it goes. A directory is made
    // empty.
    Result<CopyOutcome> copy(int from, const std::string& name, const struct stat& info, const std::string& path);

private:
    Status copy_file(int from, const std::string& name, const struct stat& info, const std::string& path);
    Status copy_data(int from, int to, std::uint64_t size, const std::string& path);
    Status copy_range(int from, int to, std::uint64_t begin, std::uint64_t end);

    ImageWriter& writer_;
    CopyScope scope_;
    std::map<std::pair<dev_t, ino_t>, std::string> first_names_;  // of files with several names
};

// Owner, mode, times and, if fd is not an O_PATH one, attributes; info is fd's.
Result<EntryMetadata> read_metadata(int fd, const struct stat& info, CopyScope scope = CopyScope::system);

}  // namespace zoneferry
