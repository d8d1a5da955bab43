// One pass over the source tree: a walk by held directory descriptors in sorted order, merged with the base catalog.
// Unchanged entries cost a stat and a catalog line, nothing on the wire; directories are entered in the stream only
// once something in them must be said.
//
// Safe against a tree that changes meanwhile: names are opened without following anything and without blocking, what
// is open is what is described, and an entry whose ctime lies within a clock tick of the reading is never trusted as
// unchanged (kRacyMarginNs, reading.h): it comes again.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "transfer/catalog.h"
#include "transfer/devices.h"
#include "transfer/record.h"

namespace zoneferry {

struct WalkOptions {
    bool clear = false;  // the target may hold anything: have it drop all first
    bool tolerate_changes = true;
    DevicePolicy devices = DevicePolicy::known;
    std::function<std::size_t()> segment_bytes;  // raw, of the segment that begins; asked on the walking thread
    std::vector<std::string> excluded;
};

struct WalkCounts {
    std::atomic<std::uint64_t> entries{0};       // walked
    std::atomic<std::uint64_t> bytes{0};         // sizes of the regular files walked
    std::atomic<std::uint64_t> entries_sent{0};  // new or changed
    std::atomic<std::uint64_t> files_sent{0};
    std::atomic<std::uint64_t> data_bytes_sent{0};
    std::atomic<std::uint64_t> removed{0};
    std::atomic<std::uint64_t> changed_while_read{0};
    std::atomic<std::uint64_t> vanished{0};
};

class TreeWalk {
public:
    // emit takes a raw segment; false: stop.
    using Emit = std::function<bool(std::uint64_t number, ByteVector raw)>;
    TreeWalk(UniqueFd root, WalkOptions options, CatalogCursor base, CatalogWriter& catalog, WalkCounts& counts,
             Emit emit);

    Status run();
    std::uint64_t segments() const { return number_; }

private:
    struct Level {
        UniqueFd fd;
        std::string name;
        bool entered = false;  // the stream is inside it
    };
    struct OpenFile {
        std::string name;
        Identity identity;
        std::uint64_t position = 0;
        bool racy = false;
    };
    struct FirstName {
        std::vector<std::string> path;
        std::uint64_t target_inode = 0;  // catalog.h: which inode of the target this is
    };

    Status walk_directory(const EntryStat& stat, bool has_base, bool fresh);
    Status walk_children(bool has_base);
    Status end_directory(const EntryStat& stat, bool has_base, std::int64_t read_at_ns);
    Status visit(const std::string& name, bool has_base);
    Status visit_directory(const std::string& name, const CatalogEntry* base);
    Status visit_leaf(const std::string& name, const EntryStat& stat, const CatalogEntry* base);
    Status send_leaf(const std::string& name, const EntryStat& stat, const CatalogEntry* base);
    Status send_file(const std::string& name, const CatalogEntry* base);
    Status send_data(int fd, std::uint64_t size);
    Status send_region(int fd, std::uint64_t end);
    Status send_symlink(const std::string& name, const EntryStat& stat);
    Status send_special(const std::string& name, const EntryStat& stat);
    Status remove(const std::string& name, const CatalogEntry* base);
    Status vanished(const std::string& name, const CatalogEntry* base);
    Result<const CatalogEntry*> base_entry(bool has_base);
    bool is_unchanged(const EntryStat& stat, const CatalogEntry* base) const;
    FirstName* find_first_name(const EntryStat& stat);
    std::uint64_t note_first_name(const std::string& name, const EntryStat& stat, std::uint64_t target_inode);
    void note_sent(const std::string& name, const EntryStat& stat, std::uint64_t target_inode, bool again);
    void note_leaf(CatalogEntry entry, const EntryStat& stat);

    Status enter_all();
    Status put(const Record& record);
    Status make_room();
    Status seal();
    void begin_segment();
    Error naming(Error error, std::string_view name) const;

    WalkOptions options_;
    CatalogCursor base_;
    CatalogWriter& catalog_;
    WalkCounts& counts_;
    Emit emit_;
    std::vector<Level> levels_;
    std::unordered_map<std::uint64_t, FirstName> first_names_;  // by inode: those with several names
    std::optional<OpenFile> open_file_;
    ByteVector raw_;
    std::size_t segment_bytes_ = 0;  // of this segment
    std::uint64_t number_ = 0;
    std::uint64_t records_ = 0;
};

}  // namespace zoneferry
