// Configuration files as dpkg records them: path and the MD5 of the packaged content, so that a local change shows.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/packages/dpkg/status.h"

namespace zoneferry {

struct Conffile {
    std::string path;  // absolute, as recorded
    std::string md5;   // lower-case hex
};

// By path. Obsolete ones are left out. Pure.
Result<std::map<std::string, Conffile>> read_conffiles(const std::vector<const DpkgPackage*>& packages);

}  // namespace zoneferry
