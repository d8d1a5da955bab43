// The tree of an image for the tests of core/adjust: written, adjusted, looked at.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <string>

#include "core/adjust/adjust.h"
#include "core/base/files.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {

class AdjustTree {
public:
    const std::string& path() const { return directory_.path(); }
    std::string at(const std::string& path) const { return directory_.path() + "/" + path; }

    void write(const std::string& path, std::string_view content, mode_t mode = 0644) const {
        ZF_CHECK(bool(make_directories(parent_of(at(path)), 0755)));
        (void)::unlink(at(path).c_str());
        const auto file = open_file(at(path), O_WRONLY | O_CREAT | O_EXCL, mode);
        ZF_CHECK(file && write_all(file->get(), as_bytes(content)));
    }
    void directory(const std::string& path) const { ZF_CHECK(bool(make_directories(at(path), 0755))); }
    void link(const std::string& path, const std::string& target) const {
        ZF_CHECK(bool(make_directories(parent_of(at(path)), 0755)));
        ZF_CHECK(::symlink(target.c_str(), at(path).c_str()) == 0);
    }

    // "<none>" if it is not there; "-> TARGET" for a link.
    std::string read(const std::string& path) const {
        struct stat info {};
        if (::lstat(at(path).c_str(), &info) != 0) return "<none>";
        if (S_ISLNK(info.st_mode)) {
            std::string target(4096, '\0');
            const ssize_t size = ::readlink(at(path).c_str(), target.data(), target.size());
            return "-> " + target.substr(0, size < 0 ? 0 : static_cast<std::size_t>(size));
        }
        if (!S_ISREG(info.st_mode)) return S_ISDIR(info.st_mode) ? "<directory>" : "<special>";
        auto text = read_file(at(path), 1U << 20U);
        return text ? *text : text.error().text();
    }

    Result<Adjustments> adjust(const ZoneConfig& zone, const AdjustChoices& choices) const {
        ZF_TRY(const UniqueFd root, open_directory(directory_.path()));
        const auto before = all();
        auto foreseen = foresee_adjustments(root.get(), zone, choices);
        EXPECT_EQ(all(), before) << "looking has changed something";
        auto done = adjust_image(root.get(), zone, choices);
        // What only writing finds (a link in the place of our backup) is not foreseen; nothing else may be missed.
        EXPECT_TRUE(foreseen || !done) << foreseen.error().text();
        if (foreseen && done) {
            EXPECT_EQ(shown_without_backups(*foreseen), shown_without_backups(*done));
        }
        return done;
    }
    // Every entry but directories: path -> content, link or kind.
    std::map<std::string, std::string> all(const std::string& below = "") const {
        std::map<std::string, std::string> found;
        const auto names = list_directory(below.empty() ? directory_.path() : at(below));
        ZF_CHECK(bool(names));
        for (const std::string& name : *names) {
            const std::string path = below.empty() ? name : below + "/" + name;
            std::string content = read(path);
            if (content == "<directory>") found.merge(all(path));
            if (content != "<directory>") found.emplace(path, std::move(content));
        }
        return found;
    }

private:
    static std::string shown_without_backups(Adjustments adjustments);
    static std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }
    TempDirectory directory_;
};

// One line a change: "kind path: what was done [backup]".
inline std::string shown(const Adjustments& adjustments) {
    std::string out;
    for (const Change& change : adjustments.changes) {
        out += std::string(adjustment_kind_name(change.kind)) + " " + change.path + ": " + change.done +
               (change.backup.empty() ? "" : " [" + change.backup + "]") + "\n";
    }
    for (const std::string& warning : adjustments.warnings) out += "warning: " + warning + "\n";
    return out;
}

inline std::string AdjustTree::shown_without_backups(Adjustments adjustments) {
    for (Change& change : adjustments.changes) change.backup.clear();
    return shown(adjustments);
}

}  // namespace zoneferry
