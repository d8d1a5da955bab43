// What the target is known to have: a sorted file beside the tree, streamed, so that memory does not grow with it.
//
// Files, by the sender's prefix:
//     PREFIX.base    what the target has since the last finished pass (or merge)
//     PREFIX.new     the pass that is going on; entries are written before the segment that carries them is given out
//     PREFIX.acked   "PASS-ID COUNT": segments 0..COUNT-1 of PREFIX.new are on the target's disk
// A file is frames of: length u32, hash (8 bytes of SHA-256 over frame number, frame body), body. The first body is
// the header line; others hold whole entries, in the order of the walk:
//     D name inode segment    a directory begins (kNotSent: the target had it here); moved: it came from another place;
//                             sparse: what the base has in it and is not named here is as in the base
//     E identity segment      the directory ends
//     F name identity segment target-inode
//                             any other entry; segment is that of its last byte, kNotSent: unchanged; target-inode is
//                             a random number for the inode that the target has, 0 if it has one name only
//     P name identity offset segment  a file's bytes before offset are in the segments up to that one. In a base: a
//                             file is there, of which only its block map tells something
//     T name segment          was on the target, removed by that segment
//     Z                       complete
// F and P of large files refer to their block map (block_map.h), in a pass also to the one they were compared with.
// "again": not trusted (changed while read, changed within a clock tick of the read, or never acknowledged): may or
// may not be on the target, comes again or is removed, but never counts as unchanged.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/base/digest.h"
#include "core/base/fd.h"
#include "transfer/attributes.h"
#include "transfer/block_map.h"

namespace zoneferry {

constexpr std::uint64_t kNotSent = UINT64_MAX;

// Equal identities: the entry was not changed in between. ctime cannot be set by a zone's user.
struct Identity {
    std::uint32_t mode = 0;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint64_t inode = 0;
    std::uint64_t size = 0;
    std::int64_t ctime_seconds = 0;
    std::uint32_t ctime_nanoseconds = 0;
    bool operator==(const Identity&) const = default;
};
Identity identity_of(const EntryStat& stat);

enum class CatalogKind : char {
    directory = 'D',
    directory_end = 'E',
    leaf = 'F',
    partial = 'P',
    removed = 'T',
    complete = 'Z'
};

// Where an entry lies in its file.
struct CatalogPosition {
    std::uint64_t frame_at = 0;
    std::uint64_t frame = 0;
    std::uint64_t in_body = 0;
    auto operator<=>(const CatalogPosition&) const = default;
};

struct CatalogEntry {
    CatalogKind kind = CatalogKind::complete;
    std::string name;
    Identity identity;  // of a directory's begin: the inode only
    std::uint64_t segment = kNotSent;
    std::uint64_t offset = 0;
    std::uint64_t target_inode = 0;
    bool again = false;
    BlockRef blocks;
    std::optional<Digest> digest;  // tree_digest.h: of a file of digests only
    // Of a pass only; a base has none of these.
    BlockRef patched;          // the map of what the target had here before; in place of it the entry was written
    bool sparse = false;       // of a directory's begin
    bool moved = false;        // the target had it in another place
    std::string from;          // ... which is still to come in the order: its path
    CatalogPosition position;  // set by the reader
};

class CatalogWriter {
public:
    static Result<CatalogWriter> create(const std::string& path, const std::string& pass_id);
    // Called for every entry from now on, with the place where it will lie.
    using Watch = std::function<void(const CatalogEntry&, const CatalogPosition&)>;
    void set_watch(Watch watch) { watch_ = std::move(watch); }
    void add(const CatalogEntry& entry);
    Status flush_if_large();
    Status flush();  // to the kernel: survives this process, not a power cut
    Status sync();
    int fd() const { return fd_.get(); }

private:
    UniqueFd fd_;
    ByteVector body_;
    std::uint64_t frames_ = 0;
    std::uint64_t frame_at_ = 0;  // of the body at hand
    Watch watch_;
};

class CatalogReader {
public:
    static Result<CatalogReader> open(const std::string& path);
    // Goes on from an entry that was read before.
    static Result<CatalogReader> open_at(const std::string& path, const CatalogPosition& position);
    const std::string& pass_id() const { return pass_id_; }
    // nullopt: the end; a damaged or half-written frame counts as the end (is_complete() tells).
    Result<std::optional<CatalogEntry>> next();
    // The same into an entry that is there; false: the end.
    Result<bool> read(CatalogEntry& into);
    bool is_complete() const { return complete_; }

private:
    bool read_frame();
    UniqueFd fd_;
    std::string pass_id_;
    ByteVector body_;
    std::size_t position_ = 0;
    std::uint64_t frames_ = 0;
    std::uint64_t frame_at_ = 0;  // of the body at hand
    std::uint64_t next_at_ = 0;
    bool complete_ = false;
};

// Reads the whole file once: is it complete, undamaged, sorted and nested?
bool is_sound_catalog(const std::string& path);

// Walks a catalog beside a walk of the tree. An absent catalog is an empty one.
class CatalogCursor {
public:
    CatalogCursor() = default;
    explicit CatalogCursor(CatalogReader reader) : reader_(std::move(reader)) {}

    // The next entry of the present directory; its end is kind directory_end (or complete, if there is none).
    // Tombstones are skipped, as is a partial that its whole follows.
    Result<const CatalogEntry*> peek();
    void take();
    // The entry that peek() showed, for a caller that writes it elsewhere with a little changed and takes it then.
    CatalogEntry& present() { return present_; }
    // Takes the entry in front, with all below it if it is a directory.
    Status skip();
    // How many directories were entered and not left; the root is one.
    std::size_t depth() const { return depth_; }
    // Goes on from another place of the same catalog, which lies so deep.
    void jump(CatalogReader reader, std::size_t depth);

private:
    Status read(CatalogEntry& into);
    std::optional<CatalogReader> reader_;
    CatalogEntry present_;
    CatalogEntry ahead_;
    bool has_present_ = false;
    bool has_ahead_ = false;
    std::size_t depth_ = 0;
};

}  // namespace zoneferry
