#include "core/image/archive_acl.h"

#include <archive_entry.h>

#include <algorithm>
#include <array>

#include "core/base/bytes.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr std::uint32_t kAclVersion = 2;
constexpr std::size_t kAclEntriesMax = 1024;
constexpr std::uint16_t kUserTag = 0x02;
constexpr std::uint16_t kGroupTag = 0x08;

// libarchive's tag -> the kernel's; 0: none that we know.
std::uint16_t kernel_tag(int tag) {
    switch (tag) {
        case ARCHIVE_ENTRY_ACL_USER_OBJ: return 0x01;
        case ARCHIVE_ENTRY_ACL_USER: return kUserTag;
        case ARCHIVE_ENTRY_ACL_GROUP_OBJ: return 0x04;
        case ARCHIVE_ENTRY_ACL_GROUP: return kGroupTag;
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
        AclEntry one;
        one.tag = kernel_tag(tag);
        one.permissions = static_cast<std::uint16_t>(permissions & 7);
        if (one.tag == 0 || acl.size() == kAclEntriesMax) return Error(Errc::invalid, "has an ACL of an unknown kind");
        if (one.tag == kUserTag || one.tag == kGroupTag) {
            const std::string_view known = name == nullptr ? "" : name;
            const auto number = parse_number<std::uint32_t>(known);
            if (qualifier >= 0) {
                one.id = static_cast<std::uint32_t>(qualifier);
            } else if (number) {
                one.id = *number;
            } else {
                one.name = known.empty() ? "?" : known;
            }
        }
        acl.push_back(one);
    }
    return acl;
}

}  // namespace

std::optional<std::uint32_t> account_id(std::string_view accounts, std::string_view name) {
    for (const std::string_view line : split(accounts, '\n')) {
        const std::vector<std::string_view> fields = split(line, ':');
        if (fields.size() >= 3 && fields[0] == name) return parse_number<std::uint32_t>(fields[2]);
    }
    return std::nullopt;
}

bool has_names(const ArchiveAcl& acl) {
    return std::any_of(acl.entries.begin(), acl.entries.end(), [](const AclEntry& one) { return !one.name.empty(); });
}

Result<std::string> encode_acl(ArchiveAcl acl, std::string_view passwd, std::string_view group) {
    for (AclEntry& one : acl.entries) {
        if (one.name.empty()) continue;
        const auto id = account_id(one.tag == kUserTag ? passwd : group, one.name);
        if (!id) {
            return Error(Errc::invalid, "has an ACL for \"" + printable(one.name) +
                                            "\", an account that the image's etc/" +
                                            (one.tag == kUserTag ? "passwd" : "group") + " does not know: refused")
                .remedy("make the archive without --acls, or add the account");
        }
        one.id = *id;
    }
    std::sort(acl.entries.begin(), acl.entries.end(),
              [](const AclEntry& a, const AclEntry& b) { return a.tag != b.tag ? a.tag < b.tag : a.id < b.id; });
    ByteVector bytes;
    append_little_endian<std::uint32_t>(bytes, kAclVersion);
    for (const AclEntry& entry : acl.entries) {
        append_little_endian<std::uint16_t>(bytes, entry.tag);
        append_little_endian<std::uint16_t>(bytes, entry.permissions);
        append_little_endian<std::uint32_t>(bytes, entry.id);
    }
    return std::string(as_text(bytes));
}

Result<std::vector<ArchiveAcl>> read_acls(archive_entry* entry) {
    struct Kind {
        int kind;
        const char* name;
        std::size_t entries_min;  // an access ACL of three says no more than the mode
    };
    constexpr std::array<Kind, 2> kKinds{{{ARCHIVE_ENTRY_ACL_TYPE_ACCESS, "system.posix_acl_access", 4},
                                          {ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, "system.posix_acl_default", 1}}};
    std::vector<ArchiveAcl> result;
    for (const Kind& kind : kKinds) {
        if (::archive_entry_acl_count(entry, kind.kind) == 0) continue;
        ZF_TRY(std::vector<AclEntry> entries, read_acl(entry, kind.kind));
        if (entries.size() >= kind.entries_min) result.push_back({kind.name, std::move(entries)});
    }
    return result;
}

}  // namespace zoneferry
