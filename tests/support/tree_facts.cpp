#include "tests/support/tree_facts.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <set>
#include <string_view>
#include <vector>

namespace zoneferry {
namespace {

using Facts = std::map<std::string, std::string>;
using Groups = std::map<std::pair<dev_t, ino_t>, std::string>;

std::string content_of(const std::string& path, const struct stat& info) {
    std::string facts;
    const int fd = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW);
    if (fd < 0) return "unreadable";
    std::vector<char> buffer;
    for (off_t at = 0; at < info.st_size;) {
        const off_t data = ::lseek(fd, at, SEEK_DATA);
        if (data < 0) break;
        const off_t hole = ::lseek(fd, data, SEEK_HOLE);
        buffer.resize(static_cast<std::size_t>(hole - data));
        const ssize_t got = ::pread(fd, buffer.data(), buffer.size(), data);
        if (got != static_cast<ssize_t>(buffer.size())) facts += " short";
        const auto hash = std::hash<std::string_view>()({buffer.data(), buffer.size()});
        facts += " [" + std::to_string(data) + "," + std::to_string(hole) + "):" + std::to_string(hash);
        at = hole;
    }
    ::close(fd);
    return facts;
}

std::string xattrs_of(const std::string& path) {
    std::string list(65536, '\0');
    const ssize_t got = ::llistxattr(path.c_str(), list.data(), list.size());
    if (got < 0) return errno == ENOTSUP ? "" : " unlisted";
    std::set<std::string> facts;
    for (std::size_t at = 0; at < static_cast<std::size_t>(got); at += std::strlen(list.data() + at) + 1) {
        std::string value(65536, '\0');
        const ssize_t bytes = ::lgetxattr(path.c_str(), list.data() + at, value.data(), value.size());
        value.resize(bytes < 0 ? 0 : static_cast<std::size_t>(bytes));
        facts.insert(std::string(list.data() + at) + "=" + value);
    }
    std::string text;
    for (const std::string& fact : facts) text += " " + fact;
    return text;
}

void visit(const std::string& root, const std::string& path, Facts& facts, Groups& groups) {
    const std::string full = root + path;
    struct stat info {};
    if (::lstat(full.c_str(), &info) != 0) {
        facts[path] = "gone";
        return;
    }
    std::string fact = std::to_string(info.st_mode) + " " + std::to_string(info.st_uid) + ":" +
                       std::to_string(info.st_gid) + " " + std::to_string(info.st_mtim.tv_sec) + "." +
                       std::to_string(info.st_mtim.tv_nsec) + xattrs_of(full);
    if (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode)) fact += " device " + std::to_string(info.st_rdev);
    if (!S_ISDIR(info.st_mode) && info.st_nlink > 1) {  // a name outside the tree does not count
        const auto [first, is_new] = groups.emplace(std::pair(info.st_dev, info.st_ino), path);
        if (!is_new) fact += " linked to " + first->second;
    }
    if (S_ISREG(info.st_mode)) fact += " " + std::to_string(info.st_size) + content_of(full, info);
    if (S_ISLNK(info.st_mode)) {
        std::string target(4096, '\0');
        const ssize_t got = ::readlink(full.c_str(), target.data(), target.size());
        fact += " -> " + target.substr(0, got < 0 ? 0 : static_cast<std::size_t>(got));
    }
    facts[path] = fact;
    if (!S_ISDIR(info.st_mode)) return;
    std::set<std::string> names;
    DIR* directory = ::opendir(full.c_str());
    while (const dirent* entry = directory == nullptr ? nullptr : ::readdir(directory)) {
        const std::string name = entry->d_name;
        if (name != "." && name != "..") names.insert(name);
    }
    if (directory != nullptr) ::closedir(directory);
    for (const std::string& name : names) visit(root, path + "/" + name, facts, groups);
}

}  // namespace

std::map<std::string, std::string> tree_facts(const std::string& root) {
    Facts facts;
    Groups groups;
    visit(root, "", facts, groups);
    return facts;
}

std::string tree_differences(const std::string& a, const std::string& b) {
    const Facts one = tree_facts(a);
    Facts other = tree_facts(b);
    std::string differences;
    int count = 0;
    for (const auto& [path, fact] : one) {
        const std::string there = other.contains(path) ? other[path] : "missing";
        if (there != fact && ++count <= 10) differences += path + ": " + fact + "\n    != " + there + "\n";
        other.erase(path);
    }
    for (const auto& [path, fact] : other) {
        if (++count <= 10) differences += path + ": only there: " + fact + "\n";
    }
    return differences;
}

}  // namespace zoneferry
