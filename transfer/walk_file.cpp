// The regular files of a walk: what is open is what is described, holes are not read.
//
// A large file is read in blocks. If the target has it, a block goes out only if its hash is not the one that the map
// of the pass before has for it; in any case the new map is written while it goes.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "transfer/file_runs.h"
#include "transfer/page_cache.h"
#include "transfer/reading.h"
#include "transfer/walk.h"

namespace zoneferry {
namespace {

constexpr std::uint64_t kBlockBytes = 4096;  // where blocks are of another size, some files are asked needlessly
// So few blocks lie in at most four extents with a hole between, which have room in ext4's inode: what a file of more
// has allocated may be a block of its extents and not of its data.
constexpr std::uint64_t kDenseBytesMax = 5 * kBlockBytes;
constexpr std::size_t kReadBytes = 128 * 1024;  // the place it is read to stays in the processor's cache
static_assert(kReadBytes <= kDataBytesMax);
constexpr std::uint64_t kWindowBytes = 256 * 1024;  // read and hashed while it is in the processor's cache

}  // namespace

struct TreeWalk::LargeFile {
    LargeFile(BlockStore& store, const BlockRef& known, int fd, std::uint64_t size)
        : map(store, known ? known.block_log : block_log_for(size)),
          hasher(store.key()),
          finder(fd, size),
          guest(fd, size) {
        if (known) old.emplace(store, known);
        block_bytes = map.ref().block_bytes();
    }
    std::uint64_t blocks_done() const { return map.ref().count; }

    // Data as it is sent, ascending; blocks that are passed by are closed.
    Status add(std::uint64_t offset, ConstBytes bytes) {
        while (!bytes.empty()) {
            ZF_TRY_STATUS(close_up_to(offset / block_bytes));
            const std::uint64_t inside = offset % block_bytes;
            const ConstBytes part = bytes.first(std::min<std::size_t>(bytes.size(), block_bytes - inside));
            hasher.add(inside, part);
            offset += part.size();
            bytes = bytes.subspan(part.size());
        }
        return {};
    }
    Status close_up_to(std::uint64_t block) {
        while (blocks_done() < block) ZF_TRY_STATUS(map.add(hasher.finish()));
        return {};
    }

    BlockMapWriter map;
    BlockHasher hasher;
    RunFinder finder;
    CacheGuest guest;
    std::optional<BlockMapReader> old;  // what the target has
    std::uint64_t block_bytes = 0;
    ByteVector window;  // from window_at
    std::uint64_t window_at = 0;
    std::vector<Run> runs;  // of data in the window
};

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
    const bool is_settled = !options_.tolerate_changes || settle_pages(fd->get());
    auto xattrs = read_xattrs(fd->get(), &left_out_);
    if (!xattrs) return naming(std::move(xattrs).error(), name);
    note_left_out(name);
    auto attributes = read_file_attributes(fd->get());
    if (!attributes) return naming(std::move(attributes).error(), name);
    if (stat->size > kFileBytesMax)
        return naming(Error(Errc::unsupported, "the file is larger than can be sent"), name);

    const bool is_large = stat->size >= kBlockFileBytesMin;
    Source source;
    if (is_large) {
        ZF_TRY(source, find_blocks(name, *stat, base));
    }
    ZF_TRY_STATUS(source.kind == Origin::Kind::here ? base_.skip() : free_name(name, base));
    ZF_TRY_STATUS(enter_all());
    ZF_TRY_STATUS(put(FileRecord{origin_of(source), stat->size, make_metadata(*stat, *xattrs, *attributes), name}));
    claim(source);

    open_file_ = OpenFile{};
    CatalogEntry& entry = open_file_->entry;
    entry.kind = CatalogKind::leaf;
    entry.name = name;
    entry.identity = identity_of(*stat);
    entry.again = is_racy(*stat, read_at_ns) || !is_settled;
    entry.patched = source.blocks;
    entry.target_inode = source.target_inode;
    entry.moved = source.kind == Origin::Kind::path || source.kind == Origin::Kind::stash;
    for (const std::string& component : source.path) entry.from += (entry.from.empty() ? "" : "/") + component;
    std::optional<LargeFile> large;
    if (is_large) large.emplace(blocks_, source.blocks, fd->get(), stat->size);
    large_ = large ? &*large : nullptr;
    const std::uint64_t sent_before = counts_.data_bytes_sent;
    // A small file that has exactly the blocks of its size (none for xattrs) is not asked for holes.
    const std::uint64_t full_bytes = (stat->size + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
    const bool is_dense = stat->size <= kDenseBytesMax && stat->allocated_bytes == full_bytes && xattrs->empty();
    Status sent;
    if (source.blocks) {
        ++counts_.patched;
        counts_.moved += entry.moved ? 1 : 0;
        open_file_->position = source.trusted_bytes;
        sent = send_changes(fd->get(), stat->size, *large);
    } else {
        sent = is_dense ? send_region(fd->get(), stat->size, large_) : send_data(fd->get(), stat->size, large_);
    }
    if (sent && large) sent = large->close_up_to(block_count(stat->size, large->map.ref().block_log));
    if (sent && large) sent = large->map.flush();
    if (!sent) return naming(std::move(sent).error(), name);
    ZF_TRY_STATUS(put(FileEndRecord{counts_.data_bytes_sent - sent_before}));
    if (large) entry.blocks = large->map.ref();
    CatalogEntry done = std::move(entry);
    large_ = nullptr;
    open_file_.reset();

    ZF_TRY(const EntryStat after, stat_entry(fd->get(), ""));
    const bool changed = identity_of(after) != done.identity;
    if (changed && !options_.tolerate_changes) {
        return naming(Error(Errc::conflict, "the file changed while it was read"), name);
    }
    if (changed) ++counts_.changed_while_read;
    ++counts_.files_sent;
    done.again = done.again || changed;
    done.target_inode = note_first_name(name, *stat, done.blocks, source.target_inode);
    note_sent(std::move(done), *stat);
    return {};
}

// The segment at hand ends inside a large file: what is in it so far.
Status TreeWalk::note_partial() {
    ZF_TRY_STATUS(large_->map.flush());
    CatalogEntry partial = open_file_->entry;
    partial.kind = CatalogKind::partial;
    partial.segment = number_;
    partial.offset = open_file_->position - open_file_->position % large_->block_bytes;
    partial.blocks = large_->map.ref();
    catalog_.add(partial);
    return {};
}

// Regions of data, by the file system's map of holes; where it has none, the whole file is one.
Status TreeWalk::send_data(int fd, std::uint64_t size, LargeFile* large) {
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
        ZF_TRY_STATUS(send_region(fd, end, large));
        if (open_file_->position < end) return {};  // cut meanwhile: the change is seen by the caller
    }
    return {};
}

// Reads straight into the segment.
Status TreeWalk::send_region(int fd, std::uint64_t end, LargeFile* large) {
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
        if (large != nullptr) ZF_TRY_STATUS(large->add(open_file_->position, {data, bytes}));
        ++records_;
        open_file_->position += bytes;
        if (large != nullptr) large->guest.pass(open_file_->position);
        counts_.data_bytes_sent += bytes;
    }
    return {};
}

Status TreeWalk::send_changes(int fd, std::uint64_t size, LargeFile& large) {
    // What an interrupted pass sent of this very state of the file is not read again.
    for (std::uint64_t block = 0; block < open_file_->position / large.block_bytes; ++block) {
        const BlockHash hash = large.old->at(block);
        if (hash == kUnknownBlock) break;
        ZF_TRY_STATUS(large.map.add(hash));
    }
    open_file_->position = large.blocks_done() * large.block_bytes;
    const std::uint64_t window = std::max(kWindowBytes, large.block_bytes);
    while (open_file_->position < size) {
        const std::uint64_t end = std::min(size, open_file_->position + window);
        ZF_TRY_STATUS(send_window(fd, end, large));
        open_file_->position = end;
        large.guest.pass(end);
    }
    return {};
}

Status TreeWalk::send_window(int fd, std::uint64_t end, LargeFile& large) {
    const std::uint64_t begin = open_file_->position;
    large.window_at = begin;
    large.runs.clear();
    for (std::uint64_t at = begin; at < end;) {
        const Run run = large.finder.at(at);
        const Run inside{std::max(run.begin, at), std::min(run.end, end)};
        if (inside.begin >= inside.end) break;
        large.window.resize(std::max<std::size_t>(large.window.size(), static_cast<std::size_t>(end - begin)));
        const MutableBytes into = MutableBytes(large.window).subspan(static_cast<std::size_t>(inside.begin - begin));
        ZF_TRY_STATUS(read_whole(fd, into.first(static_cast<std::size_t>(inside.end - inside.begin)), inside.begin));
        large.runs.push_back(inside);
        at = inside.end;
    }
    std::uint64_t changed_from = end;  // of the changed blocks that were not sent yet
    auto run = large.runs.begin();
    for (std::uint64_t at = begin; at < end; at += large.block_bytes) {
        const std::uint64_t block_end = std::min(end, at + large.block_bytes);
        for (; run != large.runs.end() && run->begin < block_end; ++run) {
            const Run part{std::max(run->begin, at), std::min(run->end, block_end)};
            if (part.begin < part.end) {
                large.hasher.add(part.begin - at, ConstBytes(large.window)
                                                      .subspan(static_cast<std::size_t>(part.begin - begin),
                                                               static_cast<std::size_t>(part.end - part.begin)));
            }
            if (run->end > block_end) break;
        }
        const BlockHash hash = large.hasher.finish();
        const bool changed = large.old->at(at / large.block_bytes) != hash;
        if (!changed && changed_from < at) ZF_TRY_STATUS(send_blocks(changed_from, at, large));
        if (!changed) changed_from = end;
        if (changed) changed_from = std::min(changed_from, at);
        ZF_TRY_STATUS(large.map.add(hash));
    }
    return changed_from < end ? send_blocks(changed_from, end, large) : Status();
}

// Blocks of the window: data where there is data, holes between.
Status TreeWalk::send_blocks(std::uint64_t begin, std::uint64_t end, const LargeFile& large) {
    open_file_->position = begin;
    std::uint64_t at = begin;
    for (const Run& run : large.runs) {
        const Run part{std::max(run.begin, begin), std::min(run.end, end)};
        if (part.begin >= part.end) continue;
        if (at < part.begin) ZF_TRY_STATUS(put(HoleRecord{at, part.begin - at}));
        ZF_TRY_STATUS(send_bytes(part.begin, ConstBytes(large.window)
                                                 .subspan(static_cast<std::size_t>(part.begin - large.window_at),
                                                          static_cast<std::size_t>(part.end - part.begin))));
        at = part.end;
    }
    if (at < end) ZF_TRY_STATUS(put(HoleRecord{at, end - at}));
    return {};
}

Status TreeWalk::send_bytes(std::uint64_t offset, ConstBytes bytes) {
    while (!bytes.empty()) {
        const ConstBytes part = bytes.first(std::min(bytes.size(), kDataBytesMax));
        ZF_TRY_STATUS(put(DataRecord{offset, part}));
        counts_.data_bytes_sent += part.size();
        offset += part.size();
        bytes = bytes.subspan(part.size());
    }
    return {};
}

}  // namespace zoneferry
