#include "core/image/archive_decoder.h"

#include <archive_entry.h>

#include "core/image/archive_reader.h"

namespace zoneferry {

struct DecodedSource::State {
    explicit State(ByteSource& from) : reader(from) {}
    ArchiveReader reader;
};

DecodedSource::DecodedSource(ByteSource& from) : state_(std::make_unique<State>(from)) {}
DecodedSource::~DecodedSource() = default;

Status DecodedSource::open() {
    archive* reader = state_->reader.get();
    ::archive_read_support_format_raw(reader);
    ::archive_read_support_filter_gzip(reader);
    ::archive_read_support_filter_xz(reader);
    ::archive_read_support_filter_zstd(reader);
    ::archive_read_support_filter_bzip2(reader);
    ::archive_read_support_filter_compress(reader);
    ZF_TRY_STATUS(state_->reader.open());
    archive_entry* entry = nullptr;
    const int got = ::archive_read_next_header(reader, &entry);
    if (got == ARCHIVE_EOF) return Error(Errc::invalid, "the image is empty");
    return got == ARCHIVE_OK ? Status() : Status(state_->reader.error());
}

Result<std::size_t> DecodedSource::read(MutableBytes into) {
    const la_ssize_t got = ::archive_read_data(state_->reader.get(), into.data(), into.size());
    if (got < 0) return state_->reader.error();
    return static_cast<std::size_t>(got);
}

}  // namespace zoneferry
