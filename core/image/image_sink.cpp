#include "core/image/image_sink.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "core/base/text.h"
#include "core/image/limits.h"

namespace zoneferry {

Status ImageTreeSink::directory(const std::string& path, EntryMetadata metadata) {
    return writer_.directory(path, std::move(metadata));
}

Status ImageTreeSink::begin_file(const std::string& path) {
    ZF_TRY(file_, writer_.begin_file(path));
    path_ = path;
    return {};
}

Result<bool> ImageTreeSink::reopen_empty_file(const std::string& path) {
    ZF_TRY(file_, writer_.reopen_empty_file(path));
    path_ = path;
    return static_cast<bool>(file_);
}

Status ImageTreeSink::write(std::uint64_t offset, ConstBytes bytes) {
    ZF_TRY_STATUS(writer_.spend(path_, bytes.size()));
    if (::lseek(file_.get(), static_cast<off_t>(offset), SEEK_SET) < 0)
        return system_error("seek in \"" + printable(path_) + "\"", errno);
    if (Status written = write_all(file_.get(), bytes); !written) {
        const int why = written.error().system_error();
        if (why == ENOSPC || why == EDQUOT)
            return Error(Errc::no_space, "no space is left for the entry \"" + printable(path_) + "\"", why);
        return written;
    }
    return {};
}

Status ImageTreeSink::finish_file(std::uint64_t size, const EntryMetadata& metadata) {
    if (::ftruncate(file_.get(), static_cast<off_t>(size)) != 0)
        return system_error("set the size of \"" + printable(path_) + "\"", errno);
    return writer_.finish_file(path_, std::move(file_), metadata);
}

Status ImageTreeSink::symlink(const std::string& path, const std::string& target, const EntryMetadata& metadata) {
    return writer_.symlink(path, target, metadata);
}

Status ImageTreeSink::hard_link(const std::string& path, const std::string& existing) {
    return writer_.hard_link(path, existing);
}

Status ImageTreeSink::fifo(const std::string& path, const EntryMetadata& metadata) {
    return writer_.fifo(path, metadata);
}

Status ImageTreeSink::set_xattr(const std::string& path, const ImageXattr& xattr) {
    return writer_.set_xattr(path, xattr);
}

std::string ImageTreeSink::small_file(const std::string& path) const {
    const auto file = open_beneath(writer_.root(), path, O_RDONLY | O_NONBLOCK);
    if (!file) return {};
    auto text = read_to_end(file->get(), kHostFileBytesMax);
    return text ? *std::move(text) : std::string();
}

}  // namespace zoneferry
