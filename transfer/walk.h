// One pass over the source tree: a walk by held directory descriptors in sorted order, merged with the base catalog.
// Unchanged entries cost a stat and a catalog line, nothing on the wire; directories are entered in the stream only
// once something in them must be said.
//
// Safe against a tree that changes meanwhile: names are opened without following anything and without blocking, what
// is open is what is described, and an entry whose ctime lies within a clock tick of the reading is never trusted as
// unchanged (kRacyMarginNs, reading.h): it comes again.
//
// Large files (walk_file.cpp): of one that the target has, only the blocks go out whose hash is not the one in the
// block map of the pass before. Moves (walk_moves.cpp): an inode that the base has in another place is taken from
// there, if it is a directory or a file with a block map. A rename changes the ctime, so a moved file is never trusted:
// its blocks are read and compared; a moved directory is walked, and what lies in it is compared as anywhere else.
//
// Other threads may read ahead of it (read_ahead.h); it does not know what they did. Others look at entries ahead of it
// (stat_ahead.h): what they saw to be as in the base it takes for unchanged, the rest it looks at itself.
//
// With a plan (walk_announced.cpp) only what is in it is visited, in the same order and by the same functions; the base
// is read only where that needs it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "transfer/base_index.h"
#include "transfer/block_map.h"
#include "transfer/catalog.h"
#include "transfer/change_plan.h"
#include "transfer/devices.h"
#include "transfer/read_ahead.h"
#include "transfer/record.h"
#include "transfer/stat_ahead.h"

namespace zoneferry {

struct WalkOptions {
    bool clear = false;  // the target may hold anything: have it drop all first
    bool tolerate_changes = true;
    DevicePolicy devices = DevicePolicy::known;
    std::function<std::size_t()> segment_bytes;  // raw, of the segment that begins; asked on the walking thread
    std::vector<std::string> excluded;           // paths below the root
    std::string base_path;                       // the base catalog's file
    // Visit only what is in a plan (change_plan.h); the trail belongs to the base. Null: all.
    std::shared_ptr<const PlanNode> plan;
    std::shared_ptr<const PassTrail> base_trail;
    bool may_put_aside = true;  // sender.h
    unsigned readers = 0;       // that read ahead where the tree is not in the kernel's cache
    unsigned stat_threads = 0;  // that look at entries ahead of a walk that has a base
    std::function<void()> begin_thread = [] {};
};

struct WalkCounts {
    std::atomic<std::uint64_t> entries{0};       // walked
    std::atomic<std::uint64_t> bytes{0};         // sizes of the regular files walked
    std::atomic<std::uint64_t> entries_sent{0};  // new or changed
    std::atomic<std::uint64_t> files_sent{0};
    std::atomic<std::uint64_t> data_bytes_sent{0};
    std::atomic<std::uint64_t> removed{0};
    std::atomic<std::uint64_t> moved{0};    // taken from another place of the target
    std::atomic<std::uint64_t> patched{0};  // files of which only changed blocks were sent
    std::atomic<std::uint64_t> changed_while_read{0};
    std::atomic<std::uint64_t> vanished{0};
    std::atomic<std::uint64_t> open_links_max{0};  // inodes held at once because names of them were still to come
};

class TreeWalk {
public:
    // emit takes a raw segment; false: stop.
    using Emit = std::function<bool(std::uint64_t number, ByteVector raw)>;
    TreeWalk(UniqueFd root, WalkOptions options, CatalogCursor base, BlockStore& blocks, CatalogWriter& catalog,
             WalkCounts& counts, Emit emit);

    Status run();
    std::uint64_t segments() const { return number_; }
    // After run(): adds what can change through names that the walk does not see.
    void note_outside_names(PassTrail& trail) const;
    // After run(): what was not sent, one sentence each.
    std::vector<std::string> notes() const;

private:
    struct Level {
        UniqueFd fd;
        std::string name;
        bool entered = false;  // the stream is inside it
        const PlanNode* plan = nullptr;
        bool sparse = false;  // only what is in the plan is visited
        AheadListing seen{};  // ahead of the walk; until its children are walked
    };
    struct OpenFile {
        CatalogEntry entry;  // as far as it is known while it is sent
        std::uint64_t position = 0;
    };
    struct FirstName {
        std::vector<std::string> path;
        Identity identity;
        std::uint64_t target_inode = 0;  // catalog.h: which inode of the target this is
        BlockRef blocks;
        std::uint64_t links = 0;
        std::uint64_t names = 0;  // met so far
    };
    // Something of the base that the target has in another place than this side.
    struct Source {
        Origin::Kind kind = Origin::Kind::fresh;
        bool is_directory = false;
        std::uint32_t stash = 0;
        std::vector<std::string> path;
        CatalogPosition position;
        BlockRef blocks;
        std::uint64_t target_inode = 0;
        Identity identity;
        std::uint64_t trusted_bytes = 0;  // blocks before it need not be read if the identity is the same
    };
    struct LargeFile;
    // Where to ask what was seen of an entry ahead of the walk.
    struct Seen {
        DirectoryAhead* ahead = nullptr;
        std::size_t index = 0;
    };

    Status walk_directory(const EntryStat& stat, bool has_base, const Source* from);
    Status walk_children(bool has_base);
    Status end_directory(const EntryStat& stat, bool has_base, bool is_moved, std::int64_t read_at_ns);
    Status visit(const std::string& name, bool has_base, const Seen& seen);
    void look_ahead(const std::string& name);
    Status visit_directory(const std::string& name, const CatalogEntry* base, const Seen& seen);
    Status visit_other_directory(const std::string& name, const EntryStat& stat, UniqueFd fd, const CatalogEntry* base);
    Status visit_leaf(const std::string& name, const EntryStat& stat, const CatalogEntry* base);
    Status send_leaf(const std::string& name, const EntryStat& stat, const CatalogEntry* base);
    Status send_symlink(const std::string& name, const EntryStat& stat);
    Status send_special(const std::string& name, const EntryStat& stat);
    Status remove(const std::string& name, const CatalogEntry* base);
    Status vanished(const std::string& name, const CatalogEntry* base);
    Result<const CatalogEntry*> base_entry(bool has_base);
    bool is_unchanged(const EntryStat& stat, const CatalogEntry* base) const;
    FirstName* find_first_name(const EntryStat& stat);
    std::uint64_t note_first_name(const std::string& name, const EntryStat& stat, const BlockRef& blocks,
                                  std::uint64_t target_inode);
    void forget_if_complete(const EntryStat& stat);
    void note_sent(CatalogEntry entry, const EntryStat& stat);
    void note_leaf(const CatalogEntry& entry, const EntryStat& stat);

    // walk_announced.cpp
    const PlanNode* planned(const std::string& name) const;
    Status walk_announced();
    Status base_to(const std::string& name);

    // walk_file.cpp
    Status send_file(const std::string& name, const CatalogEntry* base);
    Status send_data(int fd, std::uint64_t size, LargeFile* large);
    Status send_region(int fd, std::uint64_t end, LargeFile* large);
    Status send_changes(int fd, std::uint64_t size, LargeFile& large);
    Status send_window(int fd, std::uint64_t end, LargeFile& large);
    Status send_blocks(std::uint64_t begin, std::uint64_t end, const LargeFile& large);
    Status send_bytes(std::uint64_t offset, ConstBytes bytes);
    Status note_partial();

    // walk_moves.cpp
    bool can_put_aside(const CatalogEntry& base) const;
    Status free_name(const std::string& name, const CatalogEntry* base);
    Status put_aside(const std::string& name, const CatalogEntry& base);
    Result<std::optional<Source>> find_moved(const std::string& name, std::uint64_t inode, bool is_directory);
    Result<Source> find_blocks(const std::string& name, const EntryStat& stat, const CatalogEntry* base);
    void claim(const Source& source);
    static Origin origin_of(const Source& source);
    bool is_later(const std::vector<std::string>& path, const std::string& name) const;

    void note_left_out(std::string_view name);
    Status enter_all();
    Status put(const Record& record);
    Status make_room();
    Status seal();
    void begin_segment();
    Status leave_directory(CatalogEntry& entry, const EntryStat& stat, std::int64_t read_at_ns);
    bool is_excluded(const std::string& name) const;
    Error naming(Error error, std::string_view name) const;

    WalkOptions options_;
    CatalogCursor base_;
    BlockStore& blocks_;
    CatalogWriter& catalog_;
    WalkCounts& counts_;
    Emit emit_;
    std::vector<Level> levels_;
    std::optional<ReadAhead> ahead_;
    std::optional<StatAhead> stat_ahead_;
    std::uint64_t names_ = 0;                                   // visited
    std::unordered_map<std::uint64_t, FirstName> first_names_;  // by inode: those with names not met yet
    std::optional<OpenFile> open_file_;
    LargeFile* large_ = nullptr;  // that of the open file
    std::optional<BaseIndex> index_;
    std::unordered_map<std::uint64_t, Source> stashed_;  // by inode
    std::uint32_t stash_count_ = 0;
    std::set<CatalogPosition> gone_;                    // directories of the base that lie in their place no more
    std::map<CatalogPosition, std::uint64_t> claimed_;  // taken from their place, by which segment
    std::string left_out_;                              // of the entry at hand
    std::uint64_t left_out_count_ = 0;
    std::size_t excluded_depth_ = 1;  // of the deepest excluded path
    std::string left_out_first_;
    ByteVector raw_;
    std::size_t segment_bytes_ = 0;  // of this segment
    std::uint64_t number_ = 0;
    std::uint64_t records_ = 0;
};

}  // namespace zoneferry
