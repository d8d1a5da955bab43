// `install -d DIR`: a directory that holds a whole system, copied with full fidelity.
#pragma once

#include <string>

#include "core/image/file_copy.h"
#include "core/image/image_writer.h"
#include "core/image/progress.h"
#include "core/packages/package.h"

namespace zoneferry {

// source: an open directory. Left out, with a warning: other file systems mounted below it, devices and sockets. Left
// out silently: the contents of dev, proc, sys, run and tmp (path_rules.h). With
// CopyScope::everything nothing is left out, and another file system inside is an error.
Status copy_directory(int source, ImageWriter& writer, InstallReport& report, const InstallProgressCallback& progress,
                      CopyScope scope = CopyScope::system, PackageSystem system = PackageSystem::dpkg);

}  // namespace zoneferry
