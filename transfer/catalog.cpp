#include "transfer/catalog.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
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
    into = load_little_endian<T>(from);
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

std::optional<CatalogEntry> take_entry(ConstBytes& from) {
    CatalogEntry entry;
    std::uint8_t kind = 0;
    std::uint16_t fields = 0;
    if (!take_number(from, kind) || !take_number(from, fields)) return std::nullopt;
    entry.kind = static_cast<CatalogKind>(kind);
    if (std::string_view("DEFPTZ").find(static_cast<char>(kind)) == std::string_view::npos) return std::nullopt;
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
    if (!whole) return std::nullopt;
    return entry;
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
    append_little_endian(body_, static_cast<std::uint8_t>(entry.kind));
    append_little_endian(body_, fields_of(entry));
    if (has_name(entry.kind)) {
        append_little_endian(body_, static_cast<std::uint8_t>(entry.name.size()));
        append_bytes(body_, as_bytes(entry.name));
    }
    if (entry.kind == CatalogKind::directory) append_little_endian(body_, entry.identity.inode);
    if (has_identity(entry.kind)) {
        append_little_endian(body_, entry.identity.mode);
        append_little_endian(body_, entry.identity.uid);
        append_little_endian(body_, entry.identity.gid);
        append_little_endian(body_, entry.identity.inode);
        append_little_endian(body_, entry.identity.size);
        append_little_endian(body_, static_cast<std::uint64_t>(entry.identity.ctime_seconds));
        append_little_endian(body_, entry.identity.ctime_nanoseconds);
    }
    if (entry.segment != kNotSent) append_little_endian(body_, entry.segment);
    if (entry.offset != 0) append_little_endian(body_, entry.offset);
    if (entry.target_inode != 0) append_little_endian(body_, entry.target_inode);
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
    if (complete_) return std::optional<CatalogEntry>();
    if (position_ >= body_.size() && !read_frame()) {
        body_.clear();
        return std::optional<CatalogEntry>();
    }
    ConstBytes rest = ConstBytes(body_).subspan(position_);
    auto entry = take_entry(rest);
    if (!entry) return Error(Errc::corrupt, "the catalog of the last pass is damaged");
    entry->position = {frame_at_, frames_ - 1, position_};
    position_ = body_.size() - rest.size();
    complete_ = entry->kind == CatalogKind::complete;
    return entry;
}

bool is_sound_catalog(const std::string& path) {
    auto reader = CatalogReader::open(path);
    if (!reader) return false;
    std::vector<std::string> last;
    bool root_seen = false;
    while (true) {
        auto entry = reader->next();
        if (!entry) return false;
        if (!entry->has_value()) return reader->is_complete();
        const CatalogEntry& one = **entry;
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

Result<CatalogEntry> CatalogCursor::read() {
    if (ahead_) {
        CatalogEntry entry = *std::move(ahead_);
        ahead_.reset();
        return entry;
    }
    while (reader_) {
        ZF_TRY(std::optional<CatalogEntry> entry, reader_->next());
        if (!entry) break;
        if (entry->kind == CatalogKind::removed) continue;
        return *std::move(entry);
    }
    return CatalogEntry{};  // kind complete, again and again
}

Result<const CatalogEntry*> CatalogCursor::peek() {
    if (!present_) {
        ZF_TRY(CatalogEntry entry, read());
        while (entry.kind == CatalogKind::partial) {
            ZF_TRY(CatalogEntry after, read());
            if (after.name != entry.name) {
                ahead_ = std::move(after);
                break;
            }
            entry = std::move(after);
        }
        present_ = std::move(entry);
    }
    return &*present_;
}

void CatalogCursor::take() {
    if (present_ && present_->kind == CatalogKind::directory) ++depth_;
    if (present_ && present_->kind == CatalogKind::directory_end && depth_ > 0) --depth_;
    present_.reset();
}

void CatalogCursor::jump(CatalogReader reader, std::size_t depth) {
    reader_ = std::move(reader);
    present_.reset();
    ahead_.reset();
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
