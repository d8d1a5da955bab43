#include "transfer/catalog.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <vector>

#include "core/base/digest.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr std::size_t kFrameBytes = 64 * 1024;
constexpr std::size_t kFrameBytesMax = 4 * kFrameBytes;
constexpr std::size_t kFrameHeaderBytes = 12;
constexpr std::string_view kMagic = "zoneferry catalog 3 ";

std::uint64_t frame_hash(std::uint64_t number, ConstBytes body) {
    Sha256 hash;
    std::array<std::byte, 8> prefix{};
    store_little_endian(number, prefix.data());
    hash.update(ConstBytes(prefix));
    hash.update(body);
    const Digest digest = hash.finish();
    return load_little_endian<std::uint64_t>(digest);
}

bool has_name(CatalogKind kind) { return kind != CatalogKind::directory_end && kind != CatalogKind::complete; }
bool has_identity(CatalogKind kind) {
    return kind == CatalogKind::directory_end || kind == CatalogKind::leaf || kind == CatalogKind::partial;
}

template <class T>
bool take_number(ConstBytes& from, T& into) {
    if (from.size() < sizeof(T)) return false;
    if constexpr (std::endian::native == std::endian::little) {
        std::memcpy(&into, from.data(), sizeof(T));
    } else {
        into = load_little_endian<T>(from);
    }
    from = from.subspan(sizeof(T));
    return true;
}

bool take_identity(ConstBytes& from, Identity& into) {
    std::uint64_t seconds = 0;
    const bool whole = take_number(from, into.mode) && take_number(from, into.uid) && take_number(from, into.gid) &&
                       take_number(from, into.inode) && take_number(from, into.size) && take_number(from, seconds) &&
                       take_number(from, into.ctime_nanoseconds);
    into.ctime_seconds = static_cast<std::int64_t>(seconds);
    return whole;
}

// Which fields follow: most entries have few.
enum Field : std::uint16_t {
    kAgain = 1,
    kMoved = 2,
    kSegment = 4,
    kOffset = 8,
    kTargetInode = 16,
    kBlocks = 32,
    kPatched = 64,
    kFrom = 128,
    kDigest = 256,
    kSparse = 512,
};

std::uint16_t fields_of(const CatalogEntry& entry) {
    unsigned fields = 0;
    const auto set = [&fields](bool is_there, Field field) { fields |= is_there ? unsigned{field} : 0U; };
    set(entry.again, kAgain);
    set(entry.moved, kMoved);
    set(entry.segment != kNotSent, kSegment);
    set(entry.offset != 0, kOffset);
    set(entry.target_inode != 0, kTargetInode);
    set(static_cast<bool>(entry.blocks), kBlocks);
    set(static_cast<bool>(entry.patched), kPatched);
    set(!entry.from.empty(), kFrom);
    set(entry.digest.has_value(), kDigest);
    set(entry.sparse, kSparse);
    return static_cast<std::uint16_t>(fields);
}

// What every entry begins with, put together before it is appended: a catalog has as many as the tree.
class FixedPart {
public:
    template <class T>
    void put(T value) {
        store_little_endian(value, bytes_.data() + size_);
        size_ += sizeof(T);
    }
    void put_name(std::string_view name) {
        put(static_cast<std::uint8_t>(name.size()));
        const std::size_t length = static_cast<std::uint8_t>(name.size());
        std::memcpy(bytes_.data() + size_, name.data(), length);
        size_ += length;
    }
    void put_identity(const Identity& identity) {
        put(identity.mode);
        put(identity.uid);
        put(identity.gid);
        put(identity.inode);
        put(identity.size);
        put(static_cast<std::uint64_t>(identity.ctime_seconds));
        put(identity.ctime_nanoseconds);
    }
    ConstBytes bytes() const { return ConstBytes(bytes_).first(size_); }

private:
    std::array<std::byte, 384> bytes_;  // kind, fields, a name of 255, an identity of 40, three numbers
    std::size_t size_ = 0;
};

void append_ref(ByteVector& out, const BlockRef& ref) {
    append_little_endian(out, ref.at);
    append_little_endian(out, ref.count);
    append_little_endian(out, ref.id);
    append_little_endian(out, ref.block_log);
}
bool take_ref(ConstBytes& from, BlockRef& into) {
    return take_number(from, into.at) && take_number(from, into.count) && take_number(from, into.id) &&
           take_number(from, into.block_log) && into.block_log >= kBlockLogMin && into.block_log <= kBlockLogMax &&
           into.count <= 2 * kBlocksPerFileMax;
}

template <class Length>
bool take_text(ConstBytes& from, std::string& into) {
    Length length = 0;
    if (!take_number(from, length) || from.size() < length) return false;
    into = as_text(from.first(length));
    from = from.subspan(length);
    return true;
}

bool take_entry(ConstBytes& from, CatalogEntry& entry) {
    entry = {};
    std::uint8_t kind = 0;
    std::uint16_t fields = 0;
    if (!take_number(from, kind) || !take_number(from, fields)) return false;
    entry.kind = static_cast<CatalogKind>(kind);
    if (std::string_view("DEFPTZ").find(static_cast<char>(kind)) == std::string_view::npos) return false;
    bool whole = true;
    const auto field = [&](unsigned which, auto take) {
        if (whole && (fields & which) != 0) whole = take();
    };
    if (has_name(entry.kind)) whole = take_text<std::uint8_t>(from, entry.name);
    if (entry.kind == CatalogKind::directory) whole = whole && take_number(from, entry.identity.inode);
    if (has_identity(entry.kind)) whole = whole && take_identity(from, entry.identity);
    field(kSegment, [&] { return take_number(from, entry.segment); });
    field(kOffset, [&] { return take_number(from, entry.offset); });
    field(kTargetInode, [&] { return take_number(from, entry.target_inode); });
    field(kBlocks, [&] { return take_ref(from, entry.blocks); });
    field(kPatched, [&] { return take_ref(from, entry.patched); });
    field(kFrom, [&] { return take_text<std::uint32_t>(from, entry.from); });
    field(kDigest, [&] {
        if (from.size() < sizeof(Digest)) return false;
        std::copy_n(from.begin(), sizeof(Digest), entry.digest.emplace().begin());
        from = from.subspan(sizeof(Digest));
        return true;
    });
    entry.again = (fields & kAgain) != 0;
    entry.moved = (fields & kMoved) != 0;
    entry.sparse = (fields & kSparse) != 0;
    return whole;
}

bool read_some(int fd, MutableBytes into) {
    auto done = read_exactly(fd, into);
    return static_cast<bool>(done);
}

}  // namespace

Identity identity_of(const EntryStat& stat) {
    // A directory's size says nothing that its ctime does not.
    return {stat.mode,
            stat.uid,
            stat.gid,
            stat.inode,
            S_ISDIR(stat.mode) ? 0 : stat.size,
            stat.ctime_seconds,
            stat.ctime_nanoseconds};
}

Result<CatalogWriter> CatalogWriter::create(const std::string& path, const std::string& pass_id) {
    CatalogWriter writer;
    ZF_TRY(writer.fd_, open_file(path, O_WRONLY | O_CREAT | O_TRUNC, 0600));
    append_bytes(writer.body_, as_bytes(kMagic));
    append_bytes(writer.body_, as_bytes(pass_id));
    ZF_TRY_STATUS(writer.flush());
    return writer;
}

void CatalogWriter::add(const CatalogEntry& entry) {
    if (watch_) watch_(entry, {frame_at_, frames_, body_.size()});
    FixedPart fixed;
    fixed.put(static_cast<std::uint8_t>(entry.kind));
    fixed.put(fields_of(entry));
    if (has_name(entry.kind)) fixed.put_name(entry.name);
    if (entry.kind == CatalogKind::directory) fixed.put(entry.identity.inode);
    if (has_identity(entry.kind)) fixed.put_identity(entry.identity);
    if (entry.segment != kNotSent) fixed.put(entry.segment);
    if (entry.offset != 0) fixed.put(entry.offset);
    if (entry.target_inode != 0) fixed.put(entry.target_inode);
    append_bytes(body_, fixed.bytes());
    if (entry.blocks) append_ref(body_, entry.blocks);
    if (entry.patched) append_ref(body_, entry.patched);
    if (!entry.from.empty()) {
        append_little_endian(body_, static_cast<std::uint32_t>(entry.from.size()));
        append_bytes(body_, as_bytes(entry.from));
    }
    if (entry.digest) append_bytes(body_, *entry.digest);
}

Status CatalogWriter::flush_if_large() { return body_.size() >= kFrameBytes ? flush() : Status(); }

Status CatalogWriter::flush() {
    if (body_.empty()) return {};
    ByteVector frame;
    append_little_endian(frame, static_cast<std::uint32_t>(body_.size()));
    append_little_endian(frame, frame_hash(frames_, body_));
    append_bytes(frame, body_);
    ++frames_;
    frame_at_ += frame.size();
    body_.clear();
    auto done = write_all(fd_.get(), frame);
    if (!done) return Error(std::move(done).error().during("writing the catalog"));
    return {};
}

Status CatalogWriter::sync() {
    ZF_TRY_STATUS(flush());
    if (::fdatasync(fd_.get()) != 0) return system_error("sync the catalog", errno);
    return {};
}

Result<CatalogReader> CatalogReader::open(const std::string& path) {
    CatalogReader reader;
    ZF_TRY(reader.fd_, open_file(path, O_RDONLY));
    if (!reader.read_frame() || !as_text(reader.body_).starts_with(kMagic)) {
        return Error(Errc::corrupt, "the catalog " + printable(path) + " is damaged");
    }
    reader.pass_id_ = as_text(reader.body_).substr(kMagic.size());
    reader.position_ = reader.body_.size();
    return reader;
}

Result<CatalogReader> CatalogReader::open_at(const std::string& path, const CatalogPosition& position) {
    CatalogReader reader;
    ZF_TRY(reader.fd_, open_file(path, O_RDONLY));
    if (::lseek(reader.fd_.get(), static_cast<off_t>(position.frame_at), SEEK_SET) < 0) {
        return system_error("read the catalog", errno);
    }
    reader.frames_ = position.frame;
    reader.next_at_ = position.frame_at;
    if (!reader.read_frame() || position.in_body >= reader.body_.size()) {
        return Error(Errc::corrupt, "the catalog " + printable(path) + " is damaged");
    }
    reader.position_ = static_cast<std::size_t>(position.in_body);
    return reader;
}

bool CatalogReader::read_frame() {
    std::array<std::byte, kFrameHeaderBytes> header{};
    if (!read_some(fd_.get(), header)) return false;
    const auto length = load_little_endian<std::uint32_t>(header);
    if (length == 0 || length > kFrameBytesMax) return false;
    body_.resize(length);
    position_ = 0;
    if (!read_some(fd_.get(), body_)) return false;
    frame_at_ = next_at_;
    next_at_ += kFrameHeaderBytes + length;
    return frame_hash(frames_++, body_) == load_little_endian<std::uint64_t>(ConstBytes(header).subspan(4));
}

Result<std::optional<CatalogEntry>> CatalogReader::next() {
    CatalogEntry entry;
    ZF_TRY(const bool is_there, read(entry));
    return is_there ? std::optional(std::move(entry)) : std::nullopt;
}

Result<bool> CatalogReader::read(CatalogEntry& into) {
    if (complete_) return false;
    if (position_ >= body_.size() && !read_frame()) {
        body_.clear();
        return false;
    }
    ConstBytes rest = ConstBytes(body_).subspan(position_);
    if (!take_entry(rest, into)) return Error(Errc::corrupt, "the catalog of the last pass is damaged");
    into.position = {frame_at_, frames_ - 1, position_};
    position_ = body_.size() - rest.size();
    complete_ = into.kind == CatalogKind::complete;
    return true;
}

bool is_sound_catalog(const std::string& path) {
    auto reader = CatalogReader::open(path);
    if (!reader) return false;
    std::vector<std::string> last;
    bool root_seen = false;
    CatalogEntry one;
    while (true) {
        const auto is_there = reader->read(one);
        if (!is_there) return false;
        if (!*is_there) return reader->is_complete();
        if (one.kind == CatalogKind::complete) return root_seen && last.empty();
        if (one.kind == CatalogKind::directory_end) {
            if (last.empty()) return false;
            last.pop_back();
            continue;
        }
        if (last.empty()) {
            if (root_seen || one.kind != CatalogKind::directory || !one.name.empty()) return false;
            root_seen = true;
        } else {
            if (!is_entry_name(one.name) || one.name < last.back()) return false;
            last.back() = one.name;
        }
        if (one.kind == CatalogKind::directory) last.emplace_back();
        if (last.size() > kDepthMax + 1) return false;
    }
}

Status CatalogCursor::read(CatalogEntry& into) {
    if (has_ahead_) {
        into = std::move(ahead_);
        has_ahead_ = false;
        return {};
    }
    while (reader_) {
        ZF_TRY(const bool is_there, reader_->read(into));
        if (!is_there) break;
        if (into.kind != CatalogKind::removed) return {};
    }
    into = {};  // kind complete, again and again
    return {};
}

Result<const CatalogEntry*> CatalogCursor::peek() {
    if (has_present_) return &present_;
    ZF_TRY_STATUS(read(present_));
    while (present_.kind == CatalogKind::partial) {
        ZF_TRY_STATUS(read(ahead_));
        if (ahead_.name != present_.name) {
            has_ahead_ = true;
            break;
        }
        std::swap(present_, ahead_);
    }
    has_present_ = true;
    return &present_;
}

void CatalogCursor::take() {
    if (has_present_ && present_.kind == CatalogKind::directory) ++depth_;
    if (has_present_ && present_.kind == CatalogKind::directory_end && depth_ > 0) --depth_;
    has_present_ = false;
}

void CatalogCursor::jump(CatalogReader reader, std::size_t depth) {
    reader_ = std::move(reader);
    has_present_ = false;
    has_ahead_ = false;
    depth_ = depth;
}

Status CatalogCursor::skip() {
    std::size_t depth = 0;
    do {
        ZF_TRY(const CatalogEntry* entry, peek());
        if (entry->kind == CatalogKind::directory) ++depth;
        if (entry->kind == CatalogKind::directory_end) --depth;
        if (entry->kind == CatalogKind::complete)
            return Error(Errc::corrupt, "the catalog of the last pass ends early");
        take();
    } while (depth > 0);
    return {};
}

}  // namespace zoneferry
