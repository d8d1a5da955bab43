// `install -a ARCHIVE`, tar and cpio: ustar, pax, GNU tar; cpio odc, newc, crc, binary of either byte order.
//
// libarchive only decodes; every name is checked and, in the end, written by ImageWriter, so nothing in the archive is
// ever followed as a path. Refused with the entry's name: absolute and ".." names, entries through links, hard links to
// what is not in the archive before them, devices, entries that come twice, data beyond the free space, and an archive
// that ends early.
#pragma once

#include "core/image/byte_source.h"
#include "core/image/image_sink.h"
#include "core/image/progress.h"

namespace zoneferry {

// source: the archive without compression; read to its end.
Status unpack_archive(PeekSource& source, ImageSink& sink, const InstallProgressCallback& progress);

}  // namespace zoneferry
