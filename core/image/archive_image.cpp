#include "core/image/archive_image.h"

#include <optional>

#include "core/base/text.h"
#include "core/image/archive_decoder.h"
#include "core/image/archive_source.h"
#include "core/image/byte_source.h"
#include "core/image/dump_format.h"
#include "core/image/dump_source.h"
#include "core/image/flar.h"

namespace zoneferry {
namespace {

Status unpack_decoded(ByteSource& from, ImageSink& sink, InstallReport& report,
                      const InstallProgressCallback& progress) {
    DecodedSource decoded(from);
    ZF_TRY_STATUS(decoded.open());
    PeekSource inner(decoded);
    ZF_TRY(const ConstBytes begin, inner.peek(kDumpRecordBytes));
    if (is_dump(begin)) {
        ZF_TRY_STATUS(unpack_dump(inner, sink, report, progress));
        return drain(inner);
    }
    return unpack_archive(inner, sink, progress);
}

}  // namespace

Status unpack_image(int fd, ImageSink& sink, InstallReport& report, const InstallProgressCallback& progress) {
    FdSource file(fd);
    PeekSource outer(file);
    ZF_TRY(const ConstBytes begin, outer.peek(PeekSource::kPeekBytesMax));
    if (!is_flar(begin)) return unpack_decoded(outer, sink, report, progress);
    ZF_TRY(const FlarHeader header, read_flar_header(outer));
    if (header.archive_id.empty()) return unpack_decoded(outer, sink, report, progress);
    ZF_TRY(Md5 digest, Md5::create());
    DigestSource digested(outer, digest);
    ZF_TRY_STATUS(unpack_decoded(digested, sink, report, progress));
    ZF_TRY_STATUS(drain(digested));
    if (digest.finish_hex() == header.archive_id) return {};
    return Error(Errc::corrupt, "the flash archive's content does not have the id that its header gives")
        .remedy("copy the archive again; nothing of it was kept");
}

}  // namespace zoneferry
