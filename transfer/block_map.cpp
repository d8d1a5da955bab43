#include "transfer/block_map.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/base/digest.h"

namespace zoneferry {
namespace {

constexpr std::string_view kMagic = "zoneferry blocks 1\n";
constexpr std::size_t kHashBytes = sizeof(BlockHash);
constexpr std::size_t kHeaderBytes = 64;
constexpr std::uint64_t kHashesPerChunk = 4095;
constexpr std::uint64_t kChunkBytes = (kHashesPerChunk + 1) * kHashBytes;

Status write_at(int fd, ConstBytes bytes, std::uint64_t offset) {
    while (!bytes.empty()) {
        const ssize_t wrote = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return system_error("write the block hashes", errno);
        bytes = bytes.subspan(static_cast<std::size_t>(wrote));
        offset += static_cast<std::uint64_t>(wrote);
    }
    return {};
}

bool read_at(int fd, MutableBytes into, std::uint64_t offset) {
    while (!into.empty()) {
        const ssize_t got = ::pread(fd, into.data(), into.size(), static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        into = into.subspan(static_cast<std::size_t>(got));
        offset += static_cast<std::uint64_t>(got);
    }
    return true;
}

BlockHash seal(KeyedHash& mac, const BlockRef& ref, std::uint64_t chunk, ConstBytes hashes) {
    std::array<std::byte, 25> head{};
    store_little_endian(ref.id, head.data());
    store_little_endian(ref.at, head.data() + 8);
    store_little_endian(chunk, head.data() + 16);
    head[24] = std::byte{ref.block_log};
    mac.update(hashes);
    mac.update(ConstBytes(head));
    return mac.finish();
}

std::uint64_t random_number() { return load_little_endian<std::uint64_t>(random_bytes(8)); }

}  // namespace

unsigned block_log_for(std::uint64_t file_bytes) {
    unsigned log = kBlockLogMin;
    while (log < kBlockLogMax && block_count(file_bytes, log) > kBlocksPerFileMax) ++log;
    return log;
}

std::uint64_t block_count(std::uint64_t file_bytes, unsigned block_log) {
    const std::uint64_t bytes = std::uint64_t{1} << block_log;
    return file_bytes / bytes + (file_bytes % bytes != 0 ? 1 : 0);
}

// ---- the hash ----

void BlockHasher::add(std::uint64_t offset_in_block, ConstBytes bytes) {
    if (bytes.empty()) return;
    if (!any_ || offset_in_block != end_) {
        end_run();
        start_ = offset_in_block;
    }
    any_ = true;
    mac_.update(bytes);
    end_ = offset_in_block + bytes.size();
}

// Said behind the run's bytes, so that the same bytes in other places hash differently.
void BlockHasher::end_run() {
    if (!any_) return;
    std::array<std::byte, 16> run{};
    store_little_endian(start_, run.data());
    store_little_endian(end_, run.data() + 8);
    mac_.update(ConstBytes(run));
}

BlockHash BlockHasher::finish() {
    if (!any_) return kHoleBlock;
    end_run();
    any_ = false;
    return mac_.finish();
}

// ---- the file ----

Result<BlockStore> BlockStore::open(const std::string& path) {
    BlockStore store;
    ZF_TRY(store.fd_, open_file(path, O_RDWR | O_CREAT, 0600));
    ByteVector header(kHeaderBytes);
    if (read_at(store.fd_.get(), header, 0) && as_text(header).starts_with(kMagic)) {
        std::copy_n(header.begin() + kMagic.size(), store.key_.size(), store.key_.begin());
        ZF_TRY(const struct stat info, stat_fd(store.fd_.get()));
        store.end_ = static_cast<std::uint64_t>(info.st_size);
        return store;
    }
    const ByteVector key = random_bytes(store.key_.size());
    std::copy(key.begin(), key.end(), store.key_.begin());
    header.clear();
    append_bytes(header, as_bytes(kMagic));
    append_bytes(header, key);
    header.resize(kHeaderBytes);
    if (::ftruncate(store.fd_.get(), 0) != 0) return system_error("truncate the block hashes", errno);
    ZF_TRY_STATUS(write_at(store.fd_.get(), header, 0));
    store.end_ = kHeaderBytes;
    return store;
}

Status BlockStore::sync() {
    if (::fdatasync(fd_.get()) != 0) return system_error("sync the block hashes", errno);
    return {};
}

BlockMapWriter::BlockMapWriter(BlockStore& store, unsigned block_log) : store_(&store), mac_(store.key()) {
    ref_ = {store.end_, 0, random_number(), static_cast<std::uint8_t>(block_log)};
}

Status BlockMapWriter::add(const BlockHash& hash) {
    append_bytes(chunk_, hash);
    ++ref_.count;
    if (chunk_.size() < kHashesPerChunk * kHashBytes) return {};
    ZF_TRY_STATUS(flush());
    chunk_.clear();
    ++chunks_;
    return {};
}

Status BlockMapWriter::flush() {
    if (chunk_.empty()) return {};
    const std::size_t hashes = chunk_.size();
    append_bytes(chunk_, seal(mac_, ref_, chunks_, chunk_));
    const std::uint64_t at = ref_.at + chunks_ * kChunkBytes;
    Status done = write_at(store_->fd(), chunk_, at);
    store_->end_ = std::max(store_->end_, at + chunk_.size());
    chunk_.resize(hashes);
    return done;
}

BlockMapReader::BlockMapReader(const BlockStore& store, const BlockRef& ref)
    : store_(&store), mac_(store.key()), ref_(ref) {}

BlockHash BlockMapReader::at(std::uint64_t block) {
    if (block >= ref_.count) return kUnknownBlock;
    const std::uint64_t chunk = block / kHashesPerChunk;
    if (loaded_ != chunk) load(chunk);
    BlockHash hash = kUnknownBlock;
    const std::size_t at = static_cast<std::size_t>(block % kHashesPerChunk) * kHashBytes;
    if (at + kHashBytes <= chunk_.size())
        std::copy_n(chunk_.begin() + static_cast<std::ptrdiff_t>(at), kHashBytes, hash.begin());
    return hash;
}

// The last chunk may have been written again, whole, behind the reference's back.
void BlockMapReader::load(std::uint64_t chunk) {
    loaded_ = chunk;
    const std::uint64_t hashes = std::min(kHashesPerChunk, ref_.count - chunk * kHashesPerChunk);
    if (!load_sealed(chunk, hashes) && !load_sealed(chunk, kHashesPerChunk)) chunk_.clear();
}

bool BlockMapReader::load_sealed(std::uint64_t chunk, std::uint64_t hashes) {
    chunk_.resize(static_cast<std::size_t>((hashes + 1) * kHashBytes));
    if (!read_at(store_->fd(), chunk_, ref_.at + chunk * kChunkBytes)) return false;
    const std::size_t body = chunk_.size() - kHashBytes;
    const BlockHash found = seal(mac_, ref_, chunk, ConstBytes(chunk_).first(body));
    const bool sealed = std::equal(found.begin(), found.end(), chunk_.begin() + static_cast<std::ptrdiff_t>(body));
    chunk_.resize(body);
    return sealed;
}

}  // namespace zoneferry
