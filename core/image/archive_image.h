// `install -a FILE`, or - for the standard input: what a file holds is seen by its content, never by its name.
//
//     [flash archive header]  [gzip | bzip2 | xz | zstd | compress]  tar | cpio | dump
//
// A flash archive's id, if it gives one, must be the MD5 of what follows its header.
#pragma once

#include "core/image/image_sink.h"
#include "core/image/progress.h"

namespace zoneferry {

// fd: open, read from where it stands to its end; a pipe will do.
Status unpack_image(int fd, ImageSink& sink, InstallReport& report, const InstallProgressCallback& progress);

}  // namespace zoneferry
