// The regular files of a walk: what is open is what is described, holes are not read.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "transfer/reading.h"
#include "transfer/walk.h"

namespace zoneferry {
namespace {

constexpr std::uint64_t kDenseBytesMax = 64 * 1024;
constexpr std::uint64_t kBlockBytes = 4096;  // where blocks are of another size, some files are asked needlessly
constexpr std::size_t kReadBytes = 128 * 1024;  // the place it is read to stays in the processor's cache
static_assert(kReadBytes <= kDataBytesMax);

}  // namespace

Status TreeWalk::send_file(const std::string& name, const CatalogEntry* base) {
    const std::int64_t read_at_ns = file_clock_ns();
    auto fd = open_to_read(levels_.back().fd.get(), name, 0);
    if (!fd) {
        if (is_gone(fd.error())) return vanished(name, base);
        return naming(std::move(fd).error(), name);
    }
    auto stat = stat_entry(fd->get(), "");
    if (!stat) return naming(std::move(stat).error(), name);
    if (!S_ISREG(stat->mode)) return vanished(name, base);
    auto xattrs = read_xattrs(fd->get());
    if (!xattrs) return naming(std::move(xattrs).error(), name);
    if (stat->size > kFileBytesMax)
        return naming(Error(Errc::unsupported, "the file is larger than can be sent"), name);

    const Identity identity = identity_of(*stat);
    const bool racy = is_racy(*stat, read_at_ns);
    std::uint64_t start = 0;
    if (base != nullptr) {
        if (base->kind == CatalogKind::partial && !base->again && base->identity == identity) start = base->offset;
        ZF_TRY_STATUS(base_.skip());
    }
    ZF_TRY_STATUS(enter_all());
    ZF_TRY_STATUS(put(FileRecord{start > 0, stat->size, start, make_metadata(*stat, *xattrs), name}));
    open_file_ = OpenFile{name, identity, start, racy};
    const std::uint64_t sent_before = counts_.data_bytes_sent;
    // A small file that has exactly the blocks of its size (none for xattrs) is not asked for holes.
    const std::uint64_t full_bytes = (stat->size + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
    const bool is_dense = stat->size <= kDenseBytesMax && stat->allocated_bytes == full_bytes && xattrs->empty();
    if (auto sent = is_dense ? send_region(fd->get(), stat->size) : send_data(fd->get(), stat->size); !sent) return naming(std::move(sent).error(), name);
    ZF_TRY_STATUS(put(FileEndRecord{counts_.data_bytes_sent - sent_before}));
    open_file_.reset();

    ZF_TRY(const EntryStat after, stat_entry(fd->get(), ""));
    const bool changed = identity_of(after) != identity;
    if (changed && !options_.tolerate_changes) {
        return naming(Error(Errc::conflict, "the file changed while it was read"), name);
    }
    if (changed) ++counts_.changed_while_read;
    ++counts_.files_sent;
    note_sent(name, *stat, note_first_name(name, *stat, 0), changed || racy);
    return {};
}

// Regions of data, by the file system's map of holes; where it has none, the whole file is one.
Status TreeWalk::send_data(int fd, std::uint64_t size) {
    while (open_file_->position < size) {
        const off_t from = ::lseek(fd, static_cast<off_t>(open_file_->position), SEEK_DATA);
        if (from < 0 && errno == ENXIO) return {};  // only a hole is left
        off_t to = static_cast<off_t>(size);
        if (from >= 0) {
            open_file_->position = std::min(static_cast<std::uint64_t>(from), size);
            to = ::lseek(fd, from, SEEK_HOLE);
            if (to < 0) to = static_cast<off_t>(size);
        }
        const std::uint64_t end = std::min(static_cast<std::uint64_t>(to), size);
        ZF_TRY_STATUS(send_region(fd, end));
        if (open_file_->position < end) return {};  // cut meanwhile: the change is seen by the caller
    }
    return {};
}

// Reads straight into the segment.
Status TreeWalk::send_region(int fd, std::uint64_t end) {
    while (open_file_->position < end) {
        ZF_TRY_STATUS(make_room());
        const std::size_t at = raw_.size();
        const std::size_t body_at = at + kRecordHeaderBytes;
        const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(kReadBytes, end - open_file_->position));
        raw_.resize(body_at + sizeof(std::uint64_t) + wanted);
        std::byte* const data = raw_.data() + body_at + sizeof(std::uint64_t);
        ssize_t got = 0;
        do {
            got = ::pread(fd, data, wanted, static_cast<off_t>(open_file_->position));
        } while (got < 0 && errno == EINTR);
        if (got <= 0) {
            const int failed = errno;
            raw_.resize(at);
            return got == 0 ? Status() : Status(system_error("read", failed));
        }
        const auto bytes = static_cast<std::size_t>(got);
        raw_.resize(body_at + sizeof(std::uint64_t) + bytes);
        raw_[at] = std::byte{static_cast<std::uint8_t>(RecordType::data)};
        store_little_endian(static_cast<std::uint32_t>(sizeof(std::uint64_t) + bytes), raw_.data() + at + 1);
        store_little_endian(open_file_->position, raw_.data() + body_at);
        ++records_;
        open_file_->position += bytes;
        counts_.data_bytes_sent += bytes;
    }
    return {};
}

}  // namespace zoneferry
