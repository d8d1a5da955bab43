// Hashes of the blocks of large files as the target has them, kept on disk beside the catalog (PREFIX.blocks): what
// proves, in the next pass, that a block need not be sent again.
//
// The file is a header (magic, 16 bytes of key) and maps, each written once and then only referred to by entries of the
// catalog (BlockRef). A map is chunks of 4,095 hashes of 16 bytes and a seal over chunk number, map id and hashes; the
// last chunk may be shorter. A chunk whose seal is wrong says that its blocks are unknown: they are sent.
//
// The hash is GMAC under the key of this move: 7 GB/s here, where SHA-256 makes 1.2. It is a polynomial over the
// content whose point nobody knows who could choose the content (the key and the hashes stay in this host's 0700
// directory; the target is told the key where blocks are compared, block_list.h): that two contents of a block collide
// has a chance below 2^-110, whoever made them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "core/base/bytes.h"
#include "core/base/fd.h"
#include "core/base/keyed_hash.h"

namespace zoneferry {

constexpr std::uint64_t kBlockFileBytesMin = 256 * 1024;  // smaller files are sent whole
constexpr unsigned kBlockLogMin = 14;                     // 16 KiB
constexpr unsigned kBlockLogMax = 22;                     // 4 MiB: a file of 16 TiB has 4 Mi blocks
constexpr std::uint64_t kBlocksPerFileMax = std::uint64_t{1} << 22U;

using BlockHash = KeyedHash::Value;
constexpr BlockHash kUnknownBlock{};           // the target may have anything there
constexpr BlockHash kHoleBlock{std::byte{1}};  // nothing but a hole

// Where the map of a file is. count 0: there is none.
struct BlockRef {
    std::uint64_t at = 0;
    std::uint64_t count = 0;
    std::uint64_t id = 0;
    std::uint8_t block_log = 0;
    bool operator==(const BlockRef&) const = default;
    explicit operator bool() const { return count > 0; }
    std::uint64_t block_bytes() const { return std::uint64_t{1} << block_log; }
};

// The block size for a file that has none yet.
unsigned block_log_for(std::uint64_t file_bytes);
std::uint64_t block_count(std::uint64_t file_bytes, unsigned block_log);

// The hash of one block: its runs of data in ascending order, as (offset in the block, bytes). Runs that touch are one.
// No run: kHoleBlock.
class BlockHasher {
public:
    explicit BlockHasher(ConstBytes key) : mac_(key) {}
    void add(std::uint64_t offset_in_block, ConstBytes bytes);
    BlockHash finish();

private:
    void end_run();
    KeyedHash mac_;
    std::uint64_t start_ = 0;
    std::uint64_t end_ = 0;
    bool any_ = false;
};

// PREFIX.blocks of one move; one writer. A lost or damaged file is replaced by an empty one: old references into it say
// "unknown" from then on.
class BlockStore {
public:
    static Result<BlockStore> open(const std::string& path);
    ConstBytes key() const { return key_; }
    int fd() const { return fd_.get(); }
    Status sync();

private:
    friend class BlockMapWriter;
    friend class BlockMapReader;
    UniqueFd fd_;
    std::array<std::byte, 16> key_{};
    std::uint64_t end_ = 0;  // where the next map begins
};

// Writes one map at the end of the store. Hashes that were flushed can be read, whatever becomes of the writer.
class BlockMapWriter {
public:
    BlockMapWriter(BlockStore& store, unsigned block_log);
    Status add(const BlockHash& hash);
    Status flush();
    BlockRef ref() const { return ref_; }  // of all that was added

private:
    BlockStore* store_;
    KeyedHash mac_;
    BlockRef ref_;
    ByteVector chunk_;
    std::uint64_t chunks_ = 0;
};

// Reads one map by block number; what cannot be read, or was never written, is kUnknownBlock.
class BlockMapReader {
public:
    BlockMapReader(const BlockStore& store, const BlockRef& ref);
    BlockHash at(std::uint64_t block);
    const BlockRef& ref() const { return ref_; }

private:
    void load(std::uint64_t chunk);
    bool load_sealed(std::uint64_t chunk, std::uint64_t hashes);
    const BlockStore* store_;
    KeyedHash mac_;
    BlockRef ref_;
    ByteVector chunk_;
    std::optional<std::uint64_t> loaded_;
};

}  // namespace zoneferry
