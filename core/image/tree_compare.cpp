#include "core/image/tree_compare.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>

#include "core/base/files.h"
#include "core/base/text.h"
#include "core/image/file_copy.h"
#include "core/image/limits.h"

namespace zoneferry {
namespace {

class Comparison {
public:
    explicit Comparison(std::string_view only_in_copy) : only_in_copy_(only_in_copy) {}

    Status directories(int a, int b, const std::string& path) {
        if (++depth_ > kImagePathDepthMax) return Error(Errc::unsupported, "\"" + printable(path) + "\" lies too deep");
        ZF_TRY(const std::vector<std::string> names, list_directory_fd(a));
        ZF_TRY(std::vector<std::string> others, list_directory_fd(b));
        if (path.empty()) std::erase(others, only_in_copy_);
        if (names != others) return differs(path.empty() ? "." : path, "the names in it");
        for (const std::string& name : names) {
            Status same = entries(a, b, name, path.empty() ? name : path + "/" + name);
            if (!same) return same;
        }
        --depth_;
        return {};
    }

    Status metadata(int a, int b, const struct stat& ours, const struct stat& theirs, const std::string& path) const {
        ZF_TRY(EntryMetadata left, read_metadata(a, ours, CopyScope::everything));
        ZF_TRY(EntryMetadata right, read_metadata(b, theirs, CopyScope::everything));
        if (left.attributes != right.attributes) return differs(path, "file attributes (lsattr)");
        const auto by_name = [](const ImageXattr& x, const ImageXattr& y) { return x.name < y.name; };
        std::sort(left.xattrs.begin(), left.xattrs.end(), by_name);
        std::sort(right.xattrs.begin(), right.xattrs.end(), by_name);
        const bool same =
            std::equal(left.xattrs.begin(), left.xattrs.end(), right.xattrs.begin(), right.xattrs.end(),
                       [](const ImageXattr& x, const ImageXattr& y) { return x.name == y.name && x.value == y.value; });
        return same ? Status() : differs(path, "extended attributes");
    }

private:
    static Error differs(const std::string& path, const std::string& what) {
        return Error(Errc::verify_failed, "the copy of \"" + printable(path) + "\" differs: " + what);
    }

    Status entries(int a, int b, const std::string& name, const std::string& path) {
        struct stat ours {
        }, theirs{};
        if (::fstatat(a, name.c_str(), &ours, AT_SYMLINK_NOFOLLOW) != 0 ||
            ::fstatat(b, name.c_str(), &theirs, AT_SYMLINK_NOFOLLOW) != 0) {
            return system_error("look at \"" + printable(path) + "\"", errno);
        }
        if (ours.st_mode != theirs.st_mode) return differs(path, "type or mode");
        if (ours.st_uid != theirs.st_uid || ours.st_gid != theirs.st_gid) return differs(path, "owner");
        if (ours.st_mtim.tv_sec != theirs.st_mtim.tv_sec || ours.st_mtim.tv_nsec != theirs.st_mtim.tv_nsec)
            return differs(path, "time");
        if ((S_ISCHR(ours.st_mode) || S_ISBLK(ours.st_mode)) && ours.st_rdev != theirs.st_rdev)
            return differs(path, "device number");
        if (!S_ISDIR(ours.st_mode)) {
            if (ours.st_nlink != theirs.st_nlink) return differs(path, "number of names");
            const auto [known, is_new] = copies_.try_emplace({ours.st_dev, ours.st_ino}, theirs.st_ino);
            if (known->second != theirs.st_ino) return differs(path, "which names are one file");
            if (!is_new) return {};
            if (ours.st_nlink == 1) copies_.erase(known);
        }
        if (S_ISLNK(ours.st_mode)) return links(a, b, name, path);
        if (!S_ISREG(ours.st_mode) && !S_ISDIR(ours.st_mode)) return {};
        const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
        const UniqueFd left(::openat(a, name.c_str(), flags));
        const UniqueFd right(::openat(b, name.c_str(), flags));
        if (!left || !right) return system_error("open \"" + printable(path) + "\"", errno);
        ZF_TRY_STATUS(metadata(left.get(), right.get(), ours, theirs, path));
        if (S_ISDIR(ours.st_mode)) return directories(left.get(), right.get(), path);
        return ours.st_size == theirs.st_size ? contents(left.get(), right.get(), path) : differs(path, "size");
    }

    static Status links(int a, int b, const std::string& name, const std::string& path) {
        std::array<char, kImagePathBytesMax + 1> ours{};
        std::array<char, kImagePathBytesMax + 1> theirs{};
        const ssize_t left = ::readlinkat(a, name.c_str(), ours.data(), ours.size());
        const ssize_t right = ::readlinkat(b, name.c_str(), theirs.data(), theirs.size());
        if (left < 0 || right < 0) return system_error("read the link \"" + printable(path) + "\"", errno);
        return left == right && ours == theirs ? Status() : differs(path, "the link's target");
    }

    Status contents(int a, int b, const std::string& path) {
        while (true) {
            const ssize_t left = ::read(a, ours_.data(), ours_.size());
            const ssize_t right = ::read(b, theirs_.data(), theirs_.size());
            if (left < 0 || right < 0) return system_error("read \"" + printable(path) + "\"", errno);
            if (left != right || !std::equal(ours_.begin(), ours_.begin() + left, theirs_.begin()))
                return differs(path, "contents");
            if (left == 0) return {};
        }
    }

    std::string only_in_copy_;
    std::map<std::pair<dev_t, ino_t>, ino_t> copies_;  // of files with several names
    std::vector<char> ours_ = std::vector<char>(1U << 18U);
    std::vector<char> theirs_ = std::vector<char>(1U << 18U);
    std::size_t depth_ = 0;
};

}  // namespace

Status require_equal_trees(int original, int copy, std::string_view only_in_copy) {
    ZF_TRY(const struct stat ours, stat_fd(original));
    ZF_TRY(const struct stat theirs, stat_fd(copy));
    Comparison comparison(only_in_copy);
    ZF_TRY_STATUS(comparison.metadata(original, copy, ours, theirs, "."));
    return comparison.directories(original, copy, "");
}

}  // namespace zoneferry
