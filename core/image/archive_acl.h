// POSIX ACLs of an archive's entry as the kernel's extended attributes.
//
//   system.posix_acl_access | _default:  u32 version = 2, then per entry: u16 tag, u16 rwx bits, u32 id; little-endian,
//   sorted by tag and id; id is 0xffffffff where the tag has none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

struct archive_entry;

namespace zoneferry {

struct AclEntry {
    std::uint16_t tag = 0;  // the kernel's
    std::uint16_t permissions = 0;
    std::uint32_t id = 0xffffffff;
    std::string name;  // of a user or group whose number the archive does not tell; else empty
};

struct ArchiveAcl {
    std::string xattr;  // which of the two
    std::vector<AclEntry> entries;
};

// The ACLs that say more than the mode does.
Result<std::vector<ArchiveAcl>> read_acls(archive_entry* entry);

// GNU tar writes names only, even with --numeric-owner. Whose they are, the image's own etc/passwd and etc/group say:
// the number of NAME in such a file's text. Pure.
std::optional<std::uint32_t> account_id(std::string_view accounts, std::string_view name);

// The attribute's value; passwd and group are texts. A name in neither is Errc::invalid.
Result<std::string> encode_acl(ArchiveAcl acl, std::string_view passwd, std::string_view group);
bool has_names(const ArchiveAcl& acl);

}  // namespace zoneferry
