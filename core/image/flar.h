// The header of a flash archive (flar), the Solaris format of a system's image:
//
//     FlAsH-aRcHiVe-2.0                 version: 1.x and 2.x
//     section_begin=identification      keyword=value lines
//     ...
//     section_end=identification
//     section_begin=NAME ... section_end=NAME    any others: skipped
//     section_begin=archive             the rest of the file is the archive itself, bytes
//
// What counts of the identification: files_archived_method (cpio, the default, or pax), files_compressed_method (none
// or compress; what it really is, is seen by its content) and archive_id (the archive section's MD5, 32 hex digits).
#pragma once

#include <string>

#include "core/image/byte_source.h"

namespace zoneferry {

struct FlarHeader {
    std::string version;  // "2.0"
    std::string content_name;
    std::string created;    // creation_date as it stands
    std::string processor;  // creation_processor
    std::string release;    // creation_release
    std::string archived_method = "cpio";
    std::string archive_id;              // lower case; empty if none was given
    std::uint64_t unarchived_bytes = 0;  // files_unarchived_size; 0: unknown
};

inline constexpr std::size_t kFlarHeaderBytesMax = 1 << 20;  // real ones have a few KiB; predeployment scripts more
inline constexpr std::size_t kFlarLineBytesMax = 8192;

// True if these first bytes are a flash archive's.
bool is_flar(ConstBytes begin);

// Takes the header off; the source then stands at the archive's first byte. Errc::corrupt, Errc::unsupported (an
// unknown version, another method, a compression that is not known).
Result<FlarHeader> read_flar_header(PeekSource& source);

}  // namespace zoneferry
