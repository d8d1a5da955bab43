// `install -d DIR`: a directory that holds a whole system, copied with full fidelity.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/image/file_copy.h"
#include "core/image/image_writer.h"
#include "core/image/progress.h"
#include "core/packages/package.h"

namespace zoneferry {

struct DirectoryCopyRules {
    CopyScope scope = CopyScope::system;
    PackageSystem system = PackageSystem::dpkg;
    std::vector<std::string> left_out = {};  // names directly below the source
    std::function<Status()> go_on = {};      // asked at every entry; its error ends the copy
};

// source: an open directory. Left out, with a warning: other file systems mounted below it, devices and sockets. Left
// out silently: the contents of dev, proc, sys, run and tmp (path_rules.h). With CopyScope::everything only what the
// rules name is left out, and another file system inside is an error.
Status copy_directory(int source, ImageWriter& writer, InstallReport& report, const InstallProgressCallback& progress,
                      const DirectoryCopyRules& rules = {});

}  // namespace zoneferry
