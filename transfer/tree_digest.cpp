#include "transfer/tree_digest.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <unordered_map>
#include <unordered_set>

#include "core/base/files.h"
#include "core/base/text.h"
#include "transfer/attributes.h"
#include "transfer/content_hash.h"
#include "transfer/reading.h"

namespace zoneferry {
namespace {

// The plain walk that both functions share: sorted, by held descriptors, on one file system.
class Visitor {
public:
    virtual ~Visitor() = default;
    virtual Status entry(int directory, const std::string& name, const EntryStat& stat) = 0;
    // Around a directory's content; before entry() is called for what is in it.
    virtual Status enter(const std::string& name) = 0;
    virtual Status leave(int directory, const EntryStat& stat) = 0;
};

Error naming(Error error, const std::string& path) {
    return Error(std::move(error).during("reading " + printable(path.empty() ? "." : path)));
}

Status walk(int directory, const std::string& path, std::size_t depth, const std::vector<std::string>& excluded,
            const std::stop_token& stop, Visitor& visitor) {
    ZF_TRY(const EntryStat own, stat_entry(directory, ""));
    auto names = list_directory_fd(directory);
    if (!names) return naming(std::move(names).error(), path);
    for (const std::string& name : *names) {
        if (depth == 0 && std::find(excluded.begin(), excluded.end(), name) != excluded.end()) continue;
        if (stop.stop_requested()) return Error(Errc::cancelled, "reading the tree was asked to stop");
        const std::string below = path.empty() ? name : path + "/" + name;
        auto stat = stat_entry(directory, name);
        if (!stat) return naming(std::move(stat).error(), below);
        if (stat->is_mount_point) return naming(Error(Errc::conflict, "something is mounted here"), below);
        if (!S_ISDIR(stat->mode)) {
            if (auto done = visitor.entry(directory, name, *stat); !done) return naming(std::move(done).error(), below);
            continue;
        }
        if (depth >= kDepthMax) return naming(Error(Errc::unsupported, "the directory lies too deep"), below);
        auto fd = open_to_read(directory, name, O_DIRECTORY);
        if (!fd) return naming(std::move(fd).error(), below);
        ZF_TRY_STATUS(visitor.enter(name));
        ZF_TRY_STATUS(walk(fd->get(), below, depth + 1, excluded, stop, visitor));
    }
    if (auto done = visitor.leave(directory, own); !done) return naming(std::move(done).error(), path);
    return {};
}

class Digester final : public Visitor {
public:
    explicit Digester(ContentHasher& contents) : contents_(contents) {}

    Status entry(int directory, const std::string& name, const EntryStat& stat) override {
        ByteVector line = begin('e', name);
        if (stat.links > 1) {
            // All names of an inode carry the number of its first: groups are the same or the digest is not.
            const auto [known, is_new] = first_seen_.emplace(stat.inode, count_);
            append_little_endian(line, known->second);
            if (!is_new) {
                ++count_;
                return contents_.add(std::move(line), {}, 0);
            }
        }
        UniqueFd file;
        OwnedXattrs xattrs;
        if (S_ISREG(stat.mode)) {
            ZF_TRY(file, open_to_read(directory, name, 0));
            ZF_TRY(const EntryStat opened, stat_entry(file.get(), ""));
            if (opened.inode != stat.inode || !S_ISREG(opened.mode)) {
                return Error(Errc::conflict, "it changed while the tree was read");
            }
            ZF_TRY(xattrs, read_xattrs(file.get()));
        } else {
            ZF_TRY(xattrs, read_xattrs_at(directory, name));
        }
        append_entry(line, stat, xattrs);
        if (S_ISLNK(stat.mode)) ZF_TRY_STATUS(append_target(line, directory, name));
        ++count_;
        return contents_.add(std::move(line), std::move(file), stat.size);
    }
    Status enter(const std::string& name) override { return contents_.add(begin('d', name), {}, 0); }
    Status leave(int directory, const EntryStat& stat) override {
        ByteVector line = begin('l', "");
        ZF_TRY(const OwnedXattrs xattrs, read_xattrs(directory));
        append_entry(line, stat, xattrs);
        ++count_;
        return contents_.add(std::move(line), {}, 0);
    }
    std::uint64_t count() const { return count_; }

private:
    static ByteVector begin(char kind, const std::string& name) {
        ByteVector line;
        append_little_endian(line, static_cast<std::uint8_t>(kind));
        append_little_endian(line, static_cast<std::uint32_t>(name.size()));
        append_bytes(line, as_bytes(name));
        return line;
    }
    static void append_entry(ByteVector& line, const EntryStat& stat, const OwnedXattrs& xattrs) {
        append_little_endian(line, stat.mode);
        append_little_endian(line, stat.uid);
        append_little_endian(line, stat.gid);
        append_little_endian(line, stat.device_major);
        append_little_endian(line, stat.device_minor);
        append_little_endian(line, static_cast<std::uint64_t>(stat.mtime_seconds));
        append_little_endian(line, stat.mtime_nanoseconds);
        append_little_endian(line, S_ISREG(stat.mode) ? stat.size : std::uint64_t{0});
        append_little_endian(line, static_cast<std::uint32_t>(xattrs.size()));
        for (const auto& [name, value] : xattrs) {
            append_little_endian(line, static_cast<std::uint32_t>(name.size()));
            append_bytes(line, as_bytes(name));
            append_little_endian(line, static_cast<std::uint32_t>(value.size()));
            append_bytes(line, value);
        }
    }
    static Status append_target(ByteVector& line, int directory, const std::string& name) {
        std::array<char, kLinkTargetBytesMax + 1> target{};
        const ssize_t got = ::readlinkat(directory, name.c_str(), target.data(), target.size());
        if (got < 0) return system_error("read the link", errno);
        append_little_endian(line, static_cast<std::uint32_t>(got));
        append_bytes(line, as_bytes({target.data(), static_cast<std::size_t>(got)}));
        return {};
    }

    ContentHasher& contents_;
    std::unordered_map<std::uint64_t, std::uint64_t> first_seen_;
    std::uint64_t count_ = 0;
};

class Measurer final : public Visitor {
public:
    Status entry(int /*directory*/, const std::string& /*name*/, const EntryStat& stat) override {
        ++totals.entries;
        if (stat.links > 1 && !seen_.insert(stat.inode).second) return {};
        totals.allocated_bytes += stat.allocated_bytes;
        if (S_ISREG(stat.mode)) totals.bytes += stat.size;
        return {};
    }
    Status enter(const std::string& /*name*/) override { return {}; }
    Status leave(int /*directory*/, const EntryStat& stat) override {
        ++totals.entries;
        totals.allocated_bytes += stat.allocated_bytes;
        return {};
    }
    TreeTotals totals;

private:
    std::unordered_set<std::uint64_t> seen_;
};

}  // namespace

Result<TreeDigest> digest_tree(UniqueFd tree, const DigestOptions& options) {
    ContentHasher contents(options.threads);
    Digester digester(contents);
    ZF_TRY_STATUS(walk(tree.get(), "", 0, options.excluded, options.stop, digester));
    TreeDigest result;
    ZF_TRY(result.digest, contents.finish());
    result.entries = digester.count();
    result.bytes = contents.bytes();
    return result;
}

Result<TreeTotals> measure_tree(UniqueFd tree, const std::vector<std::string>& excluded) {
    Measurer measurer;
    ZF_TRY_STATUS(walk(tree.get(), "", 0, excluded, {}, measurer));
    return measurer.totals;
}

}  // namespace zoneferry
