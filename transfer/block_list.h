// The blocks of large files that differ, compared: after a comparison (comparison.h) the target is asked for the hashes
// of all blocks of such a file, which become its block map. So the next pass reads the file here and sends only the
// blocks that are not there.
//
// The target learns the key of the hashes by that. It holds the files anyway; the key still keeps whoever wrote their
// contents from choosing two blocks that hash alike.
//
// A list is 16 bytes a block, in order. Of a file with several names there is none: it must not be written in place.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "core/base/fd.h"
#include "transfer/block_map.h"
#include "transfer/comparison.h"

namespace zoneferry {

constexpr std::size_t kBlockKeyBytes = 16;
constexpr std::size_t kBlockListPartBytes = 1U << 20U;  // of 1 GiB of small blocks

// The target's side. path is the peer's word: followed below tree only, through no link and no mount. emit is given
// parts of at most kBlockListPartBytes; no part at all: there is no such file, or it may not be patched.
Status list_blocks(int tree, const std::string& path, unsigned block_log, ConstBytes key,
                   const std::function<Status(ConstBytes part)>& emit);

// The source's side, of one comparison: for each file begin, add..., end; then adopt.
class BlockListTaker {
public:
    // catalog_path_prefix: as of the comparison, which has just made it.
    static Result<BlockListTaker> open(const std::string& catalog_path_prefix);
    ConstBytes key() const { return store_.key(); }
    void begin(const LargeDifference& file);
    // Errc::protocol: more than the file has blocks, or a broken hash.
    Status add(ConstBytes part);
    Status end();
    // The catalog refers to the maps from now on.
    Status adopt();

private:
    BlockListTaker(std::string prefix, BlockStore store) : prefix_(std::move(prefix)), store_(std::move(store)) {}
    std::string prefix_;
    BlockStore store_;
    LargeDifference file_;
    std::optional<BlockMapWriter> map_;
    std::map<std::string, BlockRef> maps_;
};

}  // namespace zoneferry
