// POSIX ACLs of an archive's entry as the kernel's extended attributes.
//
//   system.posix_acl_access | _default:  u32 version = 2, then per entry: u16 tag, u16 rwx bits, u32 id; little-endian,
//   sorted by tag and id; id is 0xffffffff where the tag has none.
#pragma once

#include <vector>

#include "core/image/tree_writer.h"

struct archive_entry;

namespace zoneferry {

// An ACL that names a user or group only by a name is Errc::invalid: whose it is, only the archive's maker knows.
Result<std::vector<Xattr>> acl_xattrs(archive_entry* entry);

}  // namespace zoneferry
