// The records of a stream and their limits. A stream is one pass: the sender's walk of the tree, in order.
//
//     pass   := begin directory-content end
//     directory-content := { remove | enter directory-content leave | file {data} file-end | link | symlink | special }
//
// Every record is: type u8, body length u32, body. Integers are little-endian. A record lies whole in one segment.
//
//     begin     version u16, flags u8 (1: clear, drop all that lies below the staging directory first)
//     enter     flags u8 (1: fresh, whatever has this name is replaced by an empty directory), name
//     leave     metadata                      of the directory that is left; applied last, so its times stay
//     file      flags u8 (1: continue), size u64, start u64, metadata, name
//     data      offset u64, bytes             ascending, never overlapping; what is not covered is a hole
//     file-end  data bytes u64                how many bytes of data came since the file record
//     link      component count u16, {length u8, component}, name     a second name for an entry sent earlier
//     symlink   metadata, target length u16, target, name
//     special   format u8 (S_IFMT >> 12), major u32, minor u32, metadata, name     fifo, socket, device
//     remove    name                          with all below it; a missing one is no error
//     end       records u64                   of the pass, without this one
//     metadata  mode u32 (07777), uid u32, gid u32, mtime seconds i64, mtime nanoseconds u32,
//               xattr count u16, {name length u8, name, value length u32, value}   sorted by name
//
// Names are single components (1..255 bytes, no '/', no NUL, not "." or ".."), strictly ascending by byte within
// their directory: so one name occurs once, and "two entries of the same name" cannot be said.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace zoneferry {

constexpr std::uint16_t kStreamVersion = 1;
constexpr std::size_t kNameBytesMax = 255;                        // NAME_MAX
constexpr std::size_t kLinkTargetBytesMax = 4095;                 // PATH_MAX without its NUL
constexpr std::size_t kDepthMax = 512;                            // one descriptor is held per level, ulimit -n is 1024
constexpr std::size_t kPathBytesMax = 64 * 1024;                  // of a whole path below the tree
constexpr std::size_t kXattrCountMax = 1024;                      // per entry
constexpr std::size_t kXattrNameBytesMax = 255;                   // XATTR_NAME_MAX
constexpr std::size_t kXattrValueBytesMax = 64 * 1024;            // XATTR_SIZE_MAX
constexpr std::size_t kXattrsBytesMax = 512 * 1024;               // of all together: metadata fits in a segment
constexpr std::size_t kDataBytesMax = 1024 * 1024;                // of one data record
constexpr std::size_t kRecordHeaderBytes = 5;                     // type and length
constexpr std::size_t kRecordBodyMax = kDataBytesMax + 1024;      // data is the longest record
constexpr std::uint64_t kFileBytesMax = std::uint64_t{1} << 44U;  // 16 TiB, what ext4 holds

enum class RecordType : std::uint8_t {
    begin = 1,
    enter,
    leave,
    file,
    data,
    file_end,
    link,
    symlink,
    special,
    remove,
    end,
};

struct Xattr {
    std::string_view name;
    ConstBytes value;
};
struct Metadata {
    std::uint32_t mode = 0;  // permission bits, setuid, setgid, sticky
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::int64_t mtime_seconds = 0;
    std::uint32_t mtime_nanoseconds = 0;
    std::vector<Xattr> xattrs;
};

// The views below point into the bytes that were parsed (or, for encoding, into the caller's).
struct BeginRecord {
    std::uint16_t version = kStreamVersion;
    bool clear = false;
};
struct EnterRecord {
    bool fresh = false;
    std::string_view name;
};
struct LeaveRecord {
    Metadata metadata;
};
struct FileRecord {
    bool continued = false;  // [0, start) is there already from an earlier pass
    std::uint64_t size = 0;
    std::uint64_t start = 0;
    Metadata metadata;
    std::string_view name;
};
struct DataRecord {
    std::uint64_t offset = 0;
    ConstBytes bytes;
};
struct FileEndRecord {
    std::uint64_t data_bytes = 0;
};
struct LinkRecord {
    std::vector<std::string_view> target;  // components from the tree's root
    std::string_view name;
};
struct SymlinkRecord {
    Metadata metadata;
    std::string_view target;
    std::string_view name;
};
struct SpecialRecord {
    std::uint32_t format = 0;  // S_IFIFO, S_IFSOCK, S_IFCHR or S_IFBLK
    std::uint32_t major = 0;
    std::uint32_t minor = 0;
    Metadata metadata;
    std::string_view name;
};
struct RemoveRecord {
    std::string_view name;
};
struct EndRecord {
    std::uint64_t records = 0;
};
using Record = std::variant<BeginRecord, EnterRecord, LeaveRecord, FileRecord, DataRecord, FileEndRecord, LinkRecord,
                            SymlinkRecord, SpecialRecord, RemoveRecord, EndRecord>;

// Appends the record to out. The caller keeps the limits above.
void append_record(ByteVector& out, const Record& record);

// Takes the first record off bytes. Everything the format itself promises is checked: lengths, names, flags,
// sorted xattrs of allowed names. What depends on earlier records is the decoder's (decoder.h).
Result<Record> take_record(ConstBytes& bytes);

// Is this a name that an entry may have?
bool is_entry_name(std::string_view name);
// Only what a zone may own travels: user., trusted., POSIX ACLs and file capabilities. Labels of the host's
// security modules (selinux, ima, evm, apparmor) are the host's.
bool is_carried_xattr(std::string_view name);

}  // namespace zoneferry
