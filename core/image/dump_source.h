// `install -a DUMP`: a dump (dump_format.h) becomes a tree, in one pass over it.
//
// Directories come first: their data are kept (at most kDumpDirectoryBytesMax) and give every inode its names. Then
// every file is written under its first name, and linked under the others. Nothing is trusted: each name is one
// component, a directory has one parent, and ImageWriter follows nothing.
#pragma once

#include <string>
#include <vector>

#include "core/image/byte_source.h"
#include "core/image/image_sink.h"
#include "core/image/progress.h"

namespace zoneferry {

inline constexpr std::size_t kDumpDirectoryBytesMax = 256U << 20U;  // about 8 million names of 24 bytes

// source stands at the first record. Errc::corrupt, Errc::unsupported (another kind, an incremental dump, several
// volumes, compressed records), Errc::invalid (an entry that may not be), Errc::no_space.
Status unpack_dump(ByteSource& source, ImageSink& sink, InstallReport& report, const InstallProgressCallback& progress);

}  // namespace zoneferry
