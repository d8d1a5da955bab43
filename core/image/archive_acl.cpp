#include "core/image/archive_acl.h"

#include <archive_entry.h>

#include <algorithm>
#include <array>
#include <compare>

#include "core/base/bytes.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr std::uint32_t kAclVersion = 2;
constexpr std::uint32_t kNoId = 0xffffffff;
constexpr std::size_t kAclEntriesMax = 1024;

struct AclEntry {
    std::uint16_t tag = 0;
    std::uint32_t id = kNoId;
    std::uint16_t permissions = 0;
    auto operator<=>(const AclEntry&) const = default;
};

// libarchive's tag -> the kernel's; 0: none that we know.
std::uint16_t kernel_tag(int tag) {
    switch (tag) {
        case ARCHIVE_ENTRY_ACL_USER_OBJ: return 0x01;
        case ARCHIVE_ENTRY_ACL_USER: return 0x02;
        case ARCHIVE_ENTRY_ACL_GROUP_OBJ: return 0x04;
        case ARCHIVE_ENTRY_ACL_GROUP: return 0x08;
        case ARCHIVE_ENTRY_ACL_MASK: return 0x10;
        case ARCHIVE_ENTRY_ACL_OTHER: return 0x20;
        default: return 0;
    }
}

Result<std::vector<AclEntry>> read_acl(archive_entry* entry, int kind) {
    std::vector<AclEntry> acl;
    ::archive_entry_acl_reset(entry, kind);
    int type = 0;
    int permissions = 0;
    int tag = 0;
    int qualifier = 0;
    const char* name = nullptr;
    while (::archive_entry_acl_next(entry, kind, &type, &permissions, &tag, &qualifier, &name) == 0) {
        AclEntry one{kernel_tag(tag), kNoId, static_cast<std::uint16_t>(permissions & 7)};
        if (one.tag == 0 || acl.size() == kAclEntriesMax) return Error(Errc::invalid, "has an ACL of an unknown kind");
        if (tag == ARCHIVE_ENTRY_ACL_USER || tag == ARCHIVE_ENTRY_ACL_GROUP) {
            const auto number = parse_number<std::uint32_t>(name == nullptr ? "" : name);
            if (qualifier < 0 && !number) {
                return Error(Errc::invalid,
                             "has an ACL for \"" + printable(name == nullptr ? "" : name) + "\" without its number")
                    .remedy("make the archive with --numeric-owner");
            }
            one.id = qualifier >= 0 ? static_cast<std::uint32_t>(qualifier) : *number;
        }
        acl.push_back(one);
    }
    std::sort(acl.begin(), acl.end());
    return acl;
}

std::string encode(const std::vector<AclEntry>& acl) {
    ByteVector bytes;
    append_little_endian<std::uint32_t>(bytes, kAclVersion);
    for (const AclEntry& entry : acl) {
        append_little_endian<std::uint16_t>(bytes, entry.tag);
        append_little_endian<std::uint16_t>(bytes, entry.permissions);
        append_little_endian<std::uint32_t>(bytes, entry.id);
    }
    return std::string(as_text(bytes));
}

}  // namespace

Result<std::vector<Xattr>> acl_xattrs(archive_entry* entry) {
    std::vector<Xattr> result;
    struct Kind {
        int kind;
        const char* name;
        std::size_t entries_min;  // an access ACL of three says no more than the mode
    };
    constexpr std::array<Kind, 2> kKinds{{{ARCHIVE_ENTRY_ACL_TYPE_ACCESS, "system.posix_acl_access", 4},
                                          {ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, "system.posix_acl_default", 1}}};
    for (const Kind& kind : kKinds) {
        if (::archive_entry_acl_count(entry, kind.kind) == 0) continue;
        ZF_TRY(const std::vector<AclEntry> acl, read_acl(entry, kind.kind));
        if (acl.size() >= kind.entries_min) result.push_back({kind.name, encode(acl)});
    }
    return result;
}

}  // namespace zoneferry
