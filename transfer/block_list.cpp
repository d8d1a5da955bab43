#include "transfer/block_list.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "core/base/text.h"
#include "transfer/catalog.h"
#include "transfer/file_runs.h"
#include "transfer/resume.h"

namespace zoneferry {
namespace {

constexpr std::uint64_t kReadBytes = 256 * 1024;  // stays in the processor's cache

// One block, as BlockHasher wants it: its runs of data.
Status hash_block(int file, RunFinder& finder, std::uint64_t begin, std::uint64_t end, MutableBytes buffer,
                  BlockHasher& hasher) {
    std::uint64_t at = begin;
    while (at < end) {
        const Run run = finder.at(at);
        const std::uint64_t from = std::max(run.begin, at);
        const std::uint64_t to = std::min({run.end, end, from + buffer.size()});
        if (from >= to) return {};
        const MutableBytes part = buffer.first(static_cast<std::size_t>(to - from));
        ZF_TRY_STATUS(read_whole(file, part, from));
        hasher.add(from - begin, part);
        at = to;
    }
    return {};
}

// Closed: nothing that may be patched.
Result<UniqueFd> open_patchable(int tree, const std::string& path, std::uint64_t& size) {
    auto file = open_beneath(tree, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME);
    if (!file) return UniqueFd();
    ZF_TRY(const struct stat info, stat_fd(file->get()));
    if (!S_ISREG(info.st_mode) || info.st_nlink != 1) return UniqueFd();
    size = static_cast<std::uint64_t>(info.st_size);
    return file;
}

}  // namespace

Status list_blocks(int tree, const std::string& path, unsigned block_log, ConstBytes key,
                   const std::function<Status(ConstBytes part)>& emit) {
    if (block_log < kBlockLogMin || block_log > kBlockLogMax) return Error(Errc::protocol, "an impossible block size");
    if (key.size() != kBlockKeyBytes) return Error(Errc::protocol, "an impossible key for block hashes");
    std::uint64_t size = 0;
    ZF_TRY(const UniqueFd file, open_patchable(tree, path, size));
    const std::uint64_t count = block_count(size, block_log);
    if (!file || count > 2 * kBlocksPerFileMax) return {};
    RunFinder finder(file.get(), size);
    BlockHasher hasher(key);
    ByteVector buffer(kReadBytes);
    ByteVector part;
    for (std::uint64_t block = 0; block < count; ++block) {
        const std::uint64_t begin = block << block_log;
        const std::uint64_t end = std::min(size, begin + (std::uint64_t{1} << block_log));
        ZF_TRY_STATUS(hash_block(file.get(), finder, begin, end, buffer, hasher));
        append_bytes(part, hasher.finish());
        if (part.size() < kBlockListPartBytes && block + 1 < count) continue;
        ZF_TRY_STATUS(emit(part));
        part.clear();
    }
    return {};
}

Result<BlockListTaker> BlockListTaker::open(const std::string& catalog_path_prefix) {
    ZF_TRY(BlockStore store, BlockStore::open(CatalogPaths(catalog_path_prefix).blocks));
    return BlockListTaker(catalog_path_prefix, std::move(store));
}

void BlockListTaker::begin(const LargeDifference& file) {
    file_ = file;
    map_.emplace(store_, file.block_log);
}

Status BlockListTaker::add(ConstBytes part) {
    const auto refuse = [this] {
        return Error(Errc::protocol, "the target's block hashes of " + printable(file_.path) + " are damaged");
    };
    if (!map_ || part.size() % sizeof(BlockHash) != 0) return refuse();
    for (; !part.empty(); part = part.subspan(sizeof(BlockHash))) {
        if (map_->ref().count >= block_count(file_.bytes_there, file_.block_log)) return refuse();
        BlockHash hash{};
        std::copy_n(part.begin(), hash.size(), hash.begin());
        ZF_TRY_STATUS(map_->add(hash));
    }
    return {};
}

Status BlockListTaker::end() {
    if (map_ && map_->ref()) {
        ZF_TRY_STATUS(map_->flush());
        maps_.emplace(file_.path, map_->ref());
    }
    map_.reset();
    return {};
}

// An entry that got a map is, in a base, a partial of which nothing else is known (catalog.h).
Status BlockListTaker::adopt() {
    if (maps_.empty()) return {};
    ZF_TRY_STATUS(store_.sync());
    const CatalogPaths paths(prefix_);
    ZF_TRY(CatalogReader base, CatalogReader::open(paths.base));
    ZF_TRY(CatalogWriter out, CatalogWriter::create(paths.merged, base.pass_id()));
    std::vector<std::size_t> lengths;  // of the path, outside each open directory
    std::string path;                  // of the open directory, with a slash at its end
    while (true) {
        ZF_TRY(std::optional<CatalogEntry> entry, base.next());
        if (!entry) break;
        const auto map = entry->kind == CatalogKind::leaf ? maps_.find(path + entry->name) : maps_.end();
        if (map != maps_.end() && entry->again) {
            entry->kind = CatalogKind::partial;
            entry->blocks = map->second;
        } else if (entry->kind == CatalogKind::directory) {
            lengths.push_back(path.size());
            if (!entry->name.empty()) path += entry->name + "/";
        } else if (entry->kind == CatalogKind::directory_end && !lengths.empty()) {
            path.resize(lengths.back());
            lengths.pop_back();
        }
        out.add(*entry);
        ZF_TRY_STATUS(out.flush_if_large());
    }
    ZF_TRY_STATUS(out.sync());
    if (::rename(paths.merged.c_str(), paths.base.c_str()) != 0) return system_error("rename the catalog", errno);
    return {};
}

}  // namespace zoneferry
