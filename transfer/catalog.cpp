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
constexpr std::size_t kFrameBytesMax = 2 * kFrameBytes;
constexpr std::size_t kFrameHeaderBytes = 12;
constexpr std::string_view kMagic = "zoneferry catalog 1 ";

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

std::optional<CatalogEntry> take_entry(ConstBytes& from) {
    CatalogEntry entry;
    std::uint8_t kind = 0;
    if (!take_number(from, kind)) return std::nullopt;
    entry.kind = static_cast<CatalogKind>(kind);
    if (std::string_view("DEFPTZ").find(static_cast<char>(kind)) == std::string_view::npos) return std::nullopt;
    if (has_name(entry.kind)) {
        std::uint8_t length = 0;
        if (!take_number(from, length) || from.size() < length) return std::nullopt;
        entry.name = as_text(from.first(length));
        from = from.subspan(length);
    }
    if (has_identity(entry.kind) && !take_identity(from, entry.identity)) return std::nullopt;
    std::uint8_t again = 0;
    if (!take_number(from, entry.segment) || !take_number(from, entry.offset) ||
        !take_number(from, entry.target_inode) || !take_number(from, again)) {
        return std::nullopt;
    }
    entry.again = again != 0;
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
    append_little_endian(body_, static_cast<std::uint8_t>(entry.kind));
    if (has_name(entry.kind)) {
        append_little_endian(body_, static_cast<std::uint8_t>(entry.name.size()));
        append_bytes(body_, as_bytes(entry.name));
    }
    if (has_identity(entry.kind)) {
        append_little_endian(body_, entry.identity.mode);
        append_little_endian(body_, entry.identity.uid);
        append_little_endian(body_, entry.identity.gid);
        append_little_endian(body_, entry.identity.inode);
        append_little_endian(body_, entry.identity.size);
        append_little_endian(body_, static_cast<std::uint64_t>(entry.identity.ctime_seconds));
        append_little_endian(body_, entry.identity.ctime_nanoseconds);
    }
    append_little_endian(body_, entry.segment);
    append_little_endian(body_, entry.offset);
    append_little_endian(body_, entry.target_inode);
    append_little_endian(body_, std::uint8_t{entry.again});
}

Status CatalogWriter::flush_if_large() { return body_.size() >= kFrameBytes ? flush() : Status(); }

Status CatalogWriter::flush() {
    if (body_.empty()) return {};
    ByteVector frame;
    append_little_endian(frame, static_cast<std::uint32_t>(body_.size()));
    append_little_endian(frame, frame_hash(frames_, body_));
    append_bytes(frame, body_);
    ++frames_;
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

bool CatalogReader::read_frame() {
    std::array<std::byte, kFrameHeaderBytes> header{};
    if (!read_some(fd_.get(), header)) return false;
    const auto length = load_little_endian<std::uint32_t>(header);
    if (length == 0 || length > kFrameBytesMax) return false;
    body_.resize(length);
    position_ = 0;
    if (!read_some(fd_.get(), body_)) return false;
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
