#include "core/image/dump_format.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/image/limits.h"

namespace zoneferry {
namespace {

constexpr std::uint32_t kMagic = 60012;
constexpr std::uint32_t kOldMagic = 60011;
constexpr std::uint32_t kUfs2Magic = 0x19540119;
constexpr std::uint32_t kChecksum = 84446;
constexpr std::uint32_t kMapRecordsMax = 1U << 20U;  // a map of 2^33 inodes
constexpr std::size_t kInodeAt = 32;
constexpr std::uint16_t kIdIsLong = 65535;
constexpr std::int64_t kMicrosecondsMax = 999'999;

template <class T>
T load(ConstBytes from, std::size_t at, bool is_big_endian) {
    const T value = load_little_endian<T>(from.subspan(at, sizeof(T)));
    if (!is_big_endian) return value;
    if constexpr (sizeof(T) == 2) return __builtin_bswap16(value);
    if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
    if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
}

Error damaged(const std::string& why) {
    return Error(Errc::corrupt, "the dump cannot be read: " + why)
        .remedy("check that the archive is complete; nothing of it was kept");
}

bool has_magic(ConstBytes record, std::uint32_t magic) {
    return load<std::uint32_t>(record, 24, false) == magic || load<std::uint32_t>(record, 24, true) == magic;
}

}  // namespace

bool is_dump(ConstBytes begin) {
    if (begin.size() < kDumpRecordBytes) return false;
    return has_magic(begin, kMagic) || has_magic(begin, kOldMagic) || has_magic(begin, kUfs2Magic);
}

std::uint16_t DumpParser::half(ConstBytes from, std::size_t at) const {
    return load<std::uint16_t>(from, at, is_big_endian_);
}
std::uint32_t DumpParser::word(ConstBytes from, std::size_t at) const {
    return load<std::uint32_t>(from, at, is_big_endian_);
}
std::uint64_t DumpParser::quad(ConstBytes from, std::size_t at) const {
    return load<std::uint64_t>(from, at, is_big_endian_);
}

Result<DumpParser> DumpParser::create(ConstBytes record) {
    ZF_CHECK(record.size() == kDumpRecordBytes);
    if (has_magic(record, kOldMagic) || has_magic(record, kUfs2Magic)) {
        return Error(Errc::unsupported,
                     "the dump is of a kind that is not known (only the one of Linux and Solaris is)");
    }
    if (!has_magic(record, kMagic)) return damaged("it does not begin with a dump's header");
    DumpParser parser(load<std::uint32_t>(record, 24, true) == kMagic);
    parser.is_solaris_ = parser.word(record, 896) == 0;
    ZF_TRY(const DumpHeader first, parser.header(record));
    if (first.type != DumpRecord::tape) return damaged("it does not begin with a tape's header");
    if (first.volume != 1) {
        return Error(Errc::unsupported, "this is volume " + std::to_string(first.volume) + " of a dump of several")
            .remedy("write the dump as one file (no -M, and -B not smaller than it), or join nothing: dump it again");
    }
    if (first.level != 0) {
        return Error(Errc::unsupported,
                     "the dump is of level " + std::to_string(first.level) + ", so it holds only changes")
            .remedy("make a full one: dump -0");
    }
    return parser;
}

Result<DumpHeader> DumpParser::header(ConstBytes record) const {
    ZF_CHECK(record.size() == kDumpRecordBytes);
    if (word(record, 24) != kMagic) return damaged("a header is missing where one was expected");
    std::uint32_t sum = 0;
    for (std::size_t at = 0; at < kDumpRecordBytes; at += 4) sum += word(record, at);
    if (sum != kChecksum) return damaged("a header's checksum is wrong");
    DumpHeader header;
    const std::uint32_t type = word(record, 0);
    if (type < 1 || type > 6) {
        return Error(Errc::unsupported,
                     "the dump holds a record of kind " + std::to_string(type) + ", which is not known");
    }
    header.type = static_cast<DumpRecord>(type);
    header.volume = word(record, 12);
    header.inode = word(record, 20);
    header.level = word(record, 692);
    header.count = word(record, 160);
    if ((word(record, 888) & 0x80U) != 0) {
        return Error(Errc::unsupported, "the dump's records are compressed")
            .remedy("dump it again without -z, -j or -y, and compress the whole with zstd or gzip");
    }
    header.is_attributes = (word(record, 888) & 0x8000U) != 0;
    const bool has_data = header.type == DumpRecord::inode || header.type == DumpRecord::address;
    if (header.count > (has_data ? kDumpPresentMax : kMapRecordsMax))
        return damaged("a header counts too many records");
    for (std::size_t i = 0; has_data && i < header.count; ++i) header.present[i] = record[164 + i] != std::byte{0};
    const ConstBytes inode = record.subspan(kInodeAt, 128);
    header.mode = half(inode, 0);
    header.size = quad(inode, 8);
    const std::uint16_t old_uid = half(inode, 4);
    const std::uint16_t old_gid = half(inode, 6);
    header.uid = !is_solaris_ ? word(inode, 112) : old_uid != kIdIsLong ? old_uid : word(inode, 116);
    header.gid = !is_solaris_ ? word(inode, 116) : old_gid != kIdIsLong ? old_gid : word(inode, 120);
    const auto microseconds = std::clamp<std::int64_t>(static_cast<std::int32_t>(word(inode, 28)), 0, kMicrosecondsMax);
    header.modified = {static_cast<std::int32_t>(word(inode, 24)), microseconds * 1000};
    return header;
}

Result<std::vector<DumpParser::Entry>> DumpParser::entries(ConstBytes data) const {
    constexpr std::size_t kFixedBytes = 8;
    std::vector<Entry> found;
    for (std::size_t at = 0; at < data.size();) {
        if (data.size() - at < kFixedBytes) return damaged("a directory ends within an entry");
        const std::size_t length = half(data, at + 4);
        if (length < kFixedBytes || length > data.size() - at || length % 4 != 0)
            return damaged("a directory has an entry of an impossible length");
        const std::string_view room = as_text(data.subspan(at + kFixedBytes, length - kFixedBytes));
        const Entry entry{word(data, at), room.substr(0, room.find('\0'))};
        at += length;
        if (entry.inode == 0 || entry.name == "." || entry.name == "..") continue;
        if (entry.name.empty() || entry.name.find('/') != std::string_view::npos || entry.name.size() > 255)
            return damaged("a directory has an entry with the name \"" + printable(entry.name.substr(0, 80)) + "\"");
        found.push_back(entry);
    }
    return found;
}

namespace {

constexpr std::size_t kXattrEntryBytes = 16;

// ext2 keeps ACLs shorter than the kernel's interface: no id where there is none.
Result<std::string> kernel_acl(ConstBytes stored) {
    constexpr std::uint32_t kStoredVersion = 1;
    constexpr std::uint32_t kKernelVersion = 2;
    if (stored.size() < 4 || load<std::uint32_t>(stored, 0, false) != kStoredVersion)
        return damaged("an ACL is damaged");
    ByteVector acl;
    append_little_endian(acl, kKernelVersion);
    for (std::size_t at = 4; at < stored.size();) {
        if (stored.size() - at < 4) return damaged("an ACL is damaged");
        const std::uint16_t tag = load<std::uint16_t>(stored, at, false);
        const bool is_named = tag == 0x02 || tag == 0x08;  // ACL_USER, ACL_GROUP
        if (is_named && stored.size() - at < 8) return damaged("an ACL is damaged");
        append_little_endian(acl, tag);
        append_little_endian(acl, load<std::uint16_t>(stored, at + 2, false));
        append_little_endian(acl, is_named ? load<std::uint32_t>(stored, at + 4, false) : 0xffffffffU);
        at += is_named ? 8 : 4;
    }
    return std::string(as_text(acl));
}

std::string_view xattr_prefix(unsigned index) {
    switch (index) {
        case 1: return "user.";
        case 2: return "system.posix_acl_access";
        case 3: return "system.posix_acl_default";
        case 4: return "trusted.";
        case 6: return "security.";
        default: return "";
    }
}

}  // namespace

Result<std::vector<ImageXattr>> parse_dump_xattrs(ConstBytes data) {
    constexpr std::uint32_t kBlockMagic = 0xea020000;
    constexpr std::uint32_t kInodeMagic = 0xea020001;
    if (data.size() < 4) return damaged("extended attributes are cut off");
    const std::uint32_t magic = load<std::uint32_t>(data, 0, false);
    if (magic != kBlockMagic && magic != kInodeMagic) return damaged("extended attributes are of an unknown form");
    std::size_t at = magic == kBlockMagic ? 32 : 4;
    const std::size_t values_at = magic == kBlockMagic ? 0 : 4;
    std::vector<ImageXattr> found;
    while (data.size() >= at + 4 && load<std::uint32_t>(data, at, false) != 0) {
        if (data.size() - at < kXattrEntryBytes) return damaged("extended attributes are cut off");
        const std::size_t name_bytes = std::to_integer<std::size_t>(data[at]);
        const unsigned index = std::to_integer<unsigned>(data[at + 1]);
        const std::size_t begin = values_at + load<std::uint16_t>(data, at + 2, false);
        const std::size_t size = load<std::uint32_t>(data, at + 8, false);
        if (data.size() - at - kXattrEntryBytes < name_bytes || begin > data.size() || size > data.size() - begin ||
            found.size() >= kImageXattrsMax) {
            return damaged("extended attributes point outside their record");
        }
        const ConstBytes value = data.subspan(begin, size);
        std::string name = std::string(xattr_prefix(index));
        if (index == 2 || index == 3) {
            ZF_TRY(std::string acl, kernel_acl(value));
            found.push_back({name, std::move(acl)});
        } else if (!name.empty()) {
            name += as_text(data.subspan(at + kXattrEntryBytes, name_bytes));
            if (name.find('\0') != std::string::npos) return damaged("an extended attribute has a NUL in its name");
            found.push_back({std::move(name), std::string(as_text(value))});
        }
        at += kXattrEntryBytes + (name_bytes + 3) / 4 * 4;
    }
    return found;
}

}  // namespace zoneferry
