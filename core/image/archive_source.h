// `install -a TAR`: a tar archive (ustar, pax, GNU; plain, gzip, xz, zstd or bzip2) that holds a whole system.
//
// libarchive only decodes; every name is checked and written by TreeWriter, so nothing in the archive is ever followed
// as a path. Refused with the entry's name: absolute and ".." names, entries through links, hard links to what is not
// in the archive before them, devices, entries that come twice, data beyond the free space, and an archive that ends
// early.
#pragma once

#include "core/image/progress.h"
#include "core/image/tree_writer.h"

namespace zoneferry {

// archive: an open file, read from where it stands to its end.
Status unpack_archive(int archive, TreeWriter& writer, const InstallProgressCallback& progress);

}  // namespace zoneferry
