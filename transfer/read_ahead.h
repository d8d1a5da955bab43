// Several readers: where a tree is not in the kernel's cache, some threads go through it before the walk and have the
// kernel read what the walk will ask for next: directories, inodes, the data of small files. They hand nothing to the
// walk, which reads as if they were not there: whatever it checks stands, and what they miss costs only time.
//
//     resting --the walk waited for the disk--> ahead --kRestAfter names without a read--> resting
//
// They take the names in the walk's order (sorted, depth first), from the listing that is next; where the walk has
// overtaken them, what lies behind it is skipped. No farther ahead than kAheadEntriesMax entries and kAheadBytesMax
// bytes of files, so the cache holds what they brought until the walk is there.
//
// In a warm cache they would cost and not help. Who waits for the disk is told by the kernel: it counts the blocks that
// a thread had read.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/base/fd.h"

namespace zoneferry {

constexpr unsigned kReadersDefault = 4;
constexpr std::uint64_t kAheadEntriesMax = 2048;
constexpr std::uint64_t kAheadBytesMax = std::uint64_t{32} << 20U;
constexpr std::size_t kAheadNamesMax = 1 << 18U;  // in the listings at hand; a directory of more is not gone into
constexpr std::size_t kAheadDepthMax = 64;        // a descriptor is held for each listing
constexpr std::uint64_t kRestAfter = 512;
constexpr std::uint64_t kColdBlocks = 64;  // of 512 bytes, between two looks of the walk: it waits for the disk

using TreePath = std::vector<std::string>;  // components below the root

// How many of a directory's sorted names a walk that is at the entry `walk` has passed. Pure.
std::size_t names_passed(const TreePath& directory, const std::vector<std::string>& names, const TreePath& walk);

// Blocks of 512 bytes that the kernel has read for the calling thread.
std::uint64_t blocks_read_by_thread();

struct ReadAheadOptions {
    unsigned readers = kReadersDefault;
    bool with_data = true;              // else inodes only
    std::vector<std::string> excluded;  // paths below the root that are left alone
    std::function<void()> begin_thread = [] {};
};

// Used by one thread, that of the walk.
class ReadAhead {
public:
    // root: of the tree, kept open by the caller.
    ReadAhead(int root, ReadAheadOptions options);
    ~ReadAhead();
    ReadAhead(const ReadAhead&) = delete;
    ReadAhead& operator=(const ReadAhead&) = delete;

    // The walk is at the entry `path` (asked for only if that matters); entries and bytes of files that it has passed,
    // and blocks that were read for it, since the tree's root.
    void walk_is_at(const std::function<TreePath()>& path, std::uint64_t entries, std::uint64_t bytes,
                    std::uint64_t blocks);
    bool is_resting() const;
    std::uint64_t entries_ahead() const;  // looked at and not yet passed by the walk

private:
    struct Listing {
        TreePath path;
        UniqueFd fd;
        std::vector<std::string> names;
        std::size_t next = 0;
    };
    struct Passed {
        std::uint64_t entries = 0;
        std::uint64_t bytes = 0;
    };
    void begin();
    void read_all();
    std::shared_ptr<Listing> next_listing();
    std::uint64_t read_entry(const Listing& listing, const std::string& name);
    void enter(const Listing& parent, const std::string& name);
    bool is_excluded(const Listing& listing, const std::string& name) const;
    bool may_go_on() const;

    int root_;
    ReadAheadOptions options_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::shared_ptr<Listing>> listings_;
    std::size_t names_held_ = 0;
    TreePath walk_;  // where it was at last
    Passed walked_;  // as it said
    Passed ahead_;   // of it, by us
    std::uint64_t blocks_ = 0;
    std::uint64_t names_without_a_read_ = 0;
    bool is_resting_ = true;
    bool has_ended_ = false;
    std::vector<std::jthread> threads_;  // last: they use all the above
};

}  // namespace zoneferry
