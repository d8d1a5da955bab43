// Writes a Debian binary package (deb(5)), uncompressed:
//
//     ar: "!<arch>\n", then three members, each a 60 byte header and its bytes, padded to an even length
//       debian-binary    "2.0\n"
//       control.tar      control, maintainer scripts, conffiles, ...
//       data.tar         what is installed, "./etc/..."
//
// Both archives are tar of GNU's kind: 512 byte headers, and an 'L' or 'K' entry before a name or a link target that is
// longer than its field. The size in data.tar's ar header is filled in at the end, so the file must be seekable.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/fd.h"

namespace zoneferry {

enum class TarKind : char { file = '0', hard_link = '1', symlink = '2', directory = '5' };

struct TarEntry {
    std::string name;  // "./usr/bin/sed"; a directory's ends with '/'
    TarKind kind = TarKind::file;
    mode_t permissions = 0644;
    uid_t uid = 0;
    gid_t gid = 0;
    std::string user = "root";
    std::string group = "root";
    std::int64_t modified_s = 0;
    std::uint64_t size = 0;  // of a file
    std::string target;      // of a link
};

struct ControlFile {
    std::string name;
    std::string content;
    mode_t permissions = 0644;
};

class DebWriter {
public:
    // Writes everything up to the data archive. file: empty, open for writing, seekable; the caller's.
    static Result<DebWriter> begin(int file, const std::vector<ControlFile>& control);

    // An entry without content, or with this content (entry.size is set from it).
    Status add(TarEntry entry, std::string_view content = {});
    // A file whose entry.size bytes are copied from where `from` stands; fewer are an error.
    Status add_file(const TarEntry& entry, int from);
    Status finish();

private:
    explicit DebWriter(int file) : file_(file) {}
    Status write(std::string_view bytes);

    int file_;
    std::uint64_t size_header_at_ = 0;  // of data.tar's ar header
    std::uint64_t data_begin_ = 0;
    std::uint64_t at_ = 0;
};

}  // namespace zoneferry
