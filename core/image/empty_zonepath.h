// A place for a zone that is to come: install, clone, move.
#pragma once

#include <string>

#include "core/base/fd.h"
#include "core/base/host_root.h"
#include "core/zone/name.h"

namespace zoneferry {

// Opens the directory zonepath (as configured), made with its parents if missing, and makes it root's own, mode 0700.
// Refused, nothing changed: a symbolic link anywhere in it (Errc::invalid), a directory above it that others than root
// may write (Errc::permission), and one that holds anything (Errc::conflict): a detached zone, even if only its
// manifest is there, or other files.
Result<UniqueFd> make_empty_zonepath(const HostRoot& root, const std::string& zonepath, const ZoneName& name);

}  // namespace zoneferry
