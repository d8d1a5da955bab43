// Which paths an image may write below a zone's root. Pure.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/packages/package.h"

namespace zoneferry {

// A member's name as "a/b/c", "" for the root itself: a leading "./" and slashes at the end are dropped. Refused,
// with the name: an absolute path, an empty or ".." part, a part over 255 bytes, a NUL, too long, too deep.
Result<std::string> image_path(std::string_view member_name);

// True for what a running system makes anew and an image must not bring: all below dev, proc, sys, run and tmp, of a
// Solaris system (svr4) also below devices, system/contract, system/object and var/run (the directories themselves
// stay).
bool is_volatile_path(std::string_view path, PackageSystem system = PackageSystem::dpkg);

// True for extended attributes that a zone may hold: user.*, file capabilities and ACLs.
bool is_kept_xattr(std::string_view name);

// The path's directory ("" at the top) and last part.
std::string_view parent_path(std::string_view path);
std::string_view last_part(std::string_view path);

}  // namespace zoneferry
