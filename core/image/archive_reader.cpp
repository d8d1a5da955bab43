#include "core/image/archive_reader.h"

#include <cerrno>

#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr std::size_t kBlockBytes = 1 << 18;

}  // namespace

la_ssize_t ArchiveReader::read_block(archive* reader, void* self, const void** block) {
    auto* me = static_cast<ArchiveReader*>(self);
    auto got = me->from_.read(me->block_);
    if (!got) {
        ::archive_set_error(reader, EIO, "%s", got.error().sentence().c_str());
        me->failure_ = std::move(got).error();
        return ARCHIVE_FATAL;
    }
    *block = me->block_.data();
    return static_cast<la_ssize_t>(*got);
}

Status ArchiveReader::open() {
    if (!handle_) return Error(Errc::io, "no memory for reading the archive");
    block_.resize(kBlockBytes);
    if (::archive_read_open(handle_.get(), this, nullptr, &read_block, nullptr) != ARCHIVE_OK) return error();
    return {};
}

Error ArchiveReader::error(const std::string& path) const {
    if (failure_) return *failure_;
    const char* why = ::archive_error_string(handle_.get());
    const std::string where = path.empty() ? "" : " at \"" + printable(path) + "\"";
    return Error(Errc::corrupt,
                 "the archive cannot be read" + where + ": " + printable(why == nullptr ? "unknown" : why))
        .remedy("check that the archive is complete; nothing of it was kept");
}

}  // namespace zoneferry
