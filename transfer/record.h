// The records of a stream and their limits. A stream is one pass: the sender's walk of the tree, in order.
//
//     pass   := begin directory-content end
//     directory-content := { [stash] ( remove | enter directory-content leave | file {data | hole} file-end | link |
//                            symlink | special ) | stash }
//
// Every record is: type u8, body length u32, body. Integers are little-endian. A record lies whole in one segment.
//
//     begin     version u16, flags u8 (1: clear, drop all that lies below the staging directory first)
//     stash     name                          put aside what has this name; the first of a pass is number 0
//     enter     origin, name
//     leave     metadata                      of the directory that is left; applied last, so its times stay
//     file      origin, size u64, metadata, name
//     data      offset u64, bytes             ascending, never overlapping
//     hole      offset u64, length u64        in their order; only in a file that is not fresh
//     file-end  data bytes u64                how many bytes of data came since the file record
//     link      path, name                    a second name for an entry sent earlier
//     symlink   metadata, target length u16, target, name
//     special   format u8 (S_IFMT >> 12), major u32, minor u32, metadata, name     fifo, socket, device
//     remove    name                          with all below it; a missing one is no error
//     end       records u64                   of the pass, without this one; what is still put aside goes
//     origin    kind u8, then: 0 fresh: whatever has this name is replaced by something empty
//                              1 here: what has this name is gone on with
//                              2 path: what lies there, later in the order (a directory is moved here, a file linked)
//                              3 number u32: what was put aside under it; each can be taken once
//               In a fresh file what no data covers is a hole; in another one it stays as it is.
//     path      component count u16, {length u8, component}         from the tree's root
//     metadata  mode u32 (07777), uid u32, gid u32, mtime seconds i64, mtime nanoseconds u32, flags u32
//     (core/base/file_flags.h),
//               project u32, xattr count u16, {name length u8, name, value length u32, value}   sorted by name
//
// Names are single components (1..255 bytes, no '/', no NUL, not "." or ".."), strictly ascending by byte within
// their directory: so one name occurs once, and "two entries of the same name" cannot be said. Only a stash may be
// followed by an entry of its own name.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace zoneferry {

constexpr std::uint16_t kStreamVersion = 2;
constexpr std::size_t kNameBytesMax = 255;                        // NAME_MAX
constexpr std::size_t kLinkTargetBytesMax = 4095;                 // PATH_MAX without its NUL
constexpr std::size_t kDepthMax = 512;                            // one descriptor is held per level, ulimit -n is 1024
constexpr std::size_t kPathBytesMax = 64 * 1024;                  // of a whole path below the tree
constexpr std::uint32_t kStashMax = 100'000;                      // put aside in one pass
constexpr std::size_t kXattrCountMax = 1024;                      // per entry
constexpr std::size_t kXattrNameBytesMax = 255;                   // XATTR_NAME_MAX
constexpr std::size_t kXattrValueBytesMax = 64 * 1024;            // XATTR_SIZE_MAX
constexpr std::size_t kXattrsBytesMax = 512 * 1024;               // of all together: metadata fits in a segment
constexpr std::size_t kDataBytesMax = 1024 * 1024;                // of one data record
constexpr std::size_t kRecordHeaderBytes = 5;                     // type and length
constexpr std::size_t kRecordBodyMax = kDataBytesMax + 1024;      // data is the longest record
constexpr std::uint64_t kFileBytesMax = std::uint64_t{1} << 44U;  // 16 TiB, what ext4 holds

// Where a receiver puts aside what a stash record names: directly below the root, never part of a tree.
constexpr std::string_view kStashDirectory = ".zoneferry-moved";

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
    stash,
    hole,
};

struct XattrView {
    std::string_view name;
    ConstBytes value;
};
struct Metadata {
    std::uint32_t mode = 0;  // permission bits, setuid, setgid, sticky
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::int64_t mtime_seconds = 0;
    std::uint32_t mtime_nanoseconds = 0;
    std::uint32_t flags = 0;    // FileFlag bits
    std::uint32_t project = 0;  // quota project
    std::vector<XattrView> xattrs;
};

// The views below point into the bytes that were parsed (or, for encoding, into the caller's).
struct BeginRecord {
    std::uint16_t version = kStreamVersion;
    bool clear = false;
};
// What an entry begins as.
struct Origin {
    enum class Kind : std::uint8_t { fresh, here, path, stash };
    Kind kind = Kind::fresh;
    std::vector<std::string_view> path;
    std::uint32_t stash = 0;
    bool is_fresh() const { return kind == Kind::fresh; }
};
struct EnterRecord {
    Origin origin;
    std::string_view name;
};
struct LeaveRecord {
    Metadata metadata;
};
struct FileRecord {
    Origin origin;
    std::uint64_t size = 0;
    Metadata metadata;
    std::string_view name;
};
struct DataRecord {
    std::uint64_t offset = 0;
    ConstBytes bytes;
};
struct HoleRecord {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
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
struct StashRecord {
    std::string_view name;
};
struct EndRecord {
    std::uint64_t records = 0;
};
using Record = std::variant<BeginRecord, EnterRecord, LeaveRecord, FileRecord, DataRecord, FileEndRecord, LinkRecord,
                            SymlinkRecord, SpecialRecord, RemoveRecord, EndRecord, StashRecord, HoleRecord>;

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
