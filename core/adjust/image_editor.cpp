#include "core/adjust/image_editor.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "core/adjust/limits.h"
#include "core/base/digest.h"
#include "core/base/files.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr const char* kEmptied = "emptied: a running system fills it";
constexpr const char* kMade = "made: a running system needs it";

struct Parts {
    std::string directory;  // "." at the top
    std::string name;
};

Parts parts_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return {".", path};
    return {path.substr(0, slash), path.substr(slash + 1)};
}

std::optional<struct stat> look(int root, const std::string& path) {
    const auto found = open_beneath(root, path, O_PATH | O_NOFOLLOW);
    if (!found) return std::nullopt;
    struct stat info {};
    if (::fstat(found->get(), &info) != 0) return std::nullopt;
    return info;
}

bool is_missing(const Error& error) { return error.system_error() == ENOENT || error.system_error() == ENOTDIR; }

bool is_behind_link(const Error& error) { return error.system_error() == ELOOP || error.system_error() == EXDEV; }

// Access control lists and what users put there. Capabilities are lost with a change of content anyway.
void copy_attributes(int from, int to) {
    std::array<char, 65536> list{};
    const ssize_t size = ::flistxattr(from, list.data(), list.size());
    if (size <= 0) return;
    for (const std::string_view name : split(std::string_view(list.data(), static_cast<std::size_t>(size)), '\0')) {
        if (!name.starts_with("user.") && name != "system.posix_acl_access") continue;
        std::array<char, 65536> value{};
        const std::string key(name);
        const ssize_t length = ::fgetxattr(from, key.c_str(), value.data(), value.size());
        if (length >= 0) ::fsetxattr(to, key.c_str(), value.data(), static_cast<std::size_t>(length), 0);
    }
}

}  // namespace

bool is_plain_name(std::string_view name) {
    return !name.empty() && name != "." && name != ".." && name.size() <= 255 &&
           name.find_first_of(std::string_view("/\0", 2)) == std::string_view::npos;
}

const ImageEditor::Foreseen* ImageEditor::foreseen(const std::string& path) const {
    static const Foreseen kGone;
    if (foreseen_.empty()) return nullptr;
    if (const auto found = foreseen_.find(path); found != foreseen_.end()) return &found->second;
    for (std::size_t end = path.rfind('/'); end != std::string::npos && end > 0; end = path.rfind('/', end - 1)) {
        const auto above = foreseen_.find(std::string_view(path).substr(0, end));
        if (above != foreseen_.end() && !above->second.exists) return &kGone;
    }
    return nullptr;
}

void ImageEditor::foresee(const std::string& path, Foreseen what) { foreseen_[path] = std::move(what); }

bool ImageEditor::exists(const std::string& path) const {
    if (const Foreseen* now = foreseen(path)) return now->exists;
    return look(root_, path).has_value();
}

bool ImageEditor::is_directory(const std::string& path) const {
    if (const Foreseen* now = foreseen(path)) return now->is_directory;
    const auto info = look(root_, path);
    return info && S_ISDIR(info->st_mode);
}

std::optional<std::string> ImageEditor::link_target(const std::string& path) const {
    if (const Foreseen* now = foreseen(path)) return now->link;
    const auto found = open_beneath(root_, path, O_PATH | O_NOFOLLOW);
    if (!found) return std::nullopt;
    std::array<char, 4096> target{};
    const ssize_t size = ::readlinkat(found->get(), "", target.data(), target.size());
    if (size < 0) return std::nullopt;
    return std::string(target.data(), static_cast<std::size_t>(size));
}

// Looked at before it is opened for reading: to open a device is to do something.
Result<std::optional<UniqueFd>> ImageEditor::open_file_in(const std::string& path, std::uint64_t bytes_max) {
    const auto found = open_beneath(root_, path, O_PATH | O_NOFOLLOW);
    if (!found && is_missing(found.error())) return std::optional<UniqueFd>();
    if (!found && !is_behind_link(found.error())) return found.error();
    std::string why;
    if (!found) {
        why = "lies behind a symbolic link or a mount";
    } else {
        ZF_TRY(const struct stat info, stat_fd(found->get()));
        if (S_ISLNK(info.st_mode)) {
            why = "is a symbolic link";
        } else if (!S_ISREG(info.st_mode)) {
            why = "is no regular file";
        } else if (static_cast<std::uint64_t>(info.st_size) > bytes_max) {
            why = "has " + format_bytes(static_cast<std::uint64_t>(info.st_size));
        }
    }
    if (!why.empty()) {
        warn("/" + printable(path) + " " + why + ": it was left alone");
        return std::optional<UniqueFd>();
    }
    ZF_TRY(UniqueFd file, open_beneath(root_, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
    return std::optional<UniqueFd>(std::move(file));
}

Result<std::optional<std::string>> ImageEditor::text(const std::string& path, std::uint64_t bytes_max) {
    if (const Foreseen* now = foreseen(path)) {
        if (now->link) warn("/" + printable(path) + " is a symbolic link: it was left alone");
        return now->text;
    }
    ZF_TRY(const std::optional<UniqueFd> file, open_file_in(path, bytes_max));
    if (!file) return std::optional<std::string>();
    auto content = read_to_end(file->get(), bytes_max);
    if (!content) return std::move(content).error().during("reading /" + printable(path) + " of the image");
    return std::optional<std::string>(*std::move(content));
}

Result<std::optional<std::string>> ImageEditor::text(const std::string& path) {
    return text(path, kAdjustFileBytesMax);
}

Result<std::vector<std::string>> ImageEditor::names(const std::string& directory) {
    std::vector<std::string> names;
    if (const Foreseen* now = foreseen(directory); now != nullptr && !now->exists) return names;
    auto opened = open_beneath(root_, directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!opened) {
        const bool is_way_blocked = is_behind_link(opened.error());
        if (!is_way_blocked && !is_missing(opened.error())) return std::move(opened).error();
        if (is_way_blocked || exists(directory)) {
            warn("/" + printable(directory) + " is no directory of its own: it was left alone");
        }
        return names;
    }
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(opened->get()), &::closedir);
    if (!stream) return system_error("read /" + printable(directory) + " of the image", errno);
    opened->release();
    while (const dirent* entry = ::readdir(stream.get())) {
        if (!is_plain_name(entry->d_name)) continue;
        if (names.size() == kAdjustNamesMax) {
            warn("/" + printable(directory) + " has more than " + std::to_string(kAdjustNamesMax) +
                 " entries: it was left alone");
            return std::vector<std::string>();
        }
        names.emplace_back(entry->d_name);
    }
    if (looks_only_) change_as_foreseen(directory, names);
    std::sort(names.begin(), names.end());
    return names;
}

void ImageEditor::change_as_foreseen(const std::string& directory, std::vector<std::string>& names) const {
    std::erase_if(names, [&](const std::string& name) { return !exists(directory + "/" + name); });
    for (const auto& [path, what] : foreseen_) {
        const Parts parts = parts_of(path);
        if (!what.exists || parts.directory != directory) continue;
        if (std::find(names.begin(), names.end(), parts.name) == names.end()) names.push_back(parts.name);
    }
}

Result<UniqueFd> ImageEditor::parent(const std::string& path, bool make) {
    ZF_TRY(UniqueFd at, open_beneath(root_, ".", O_RDONLY | O_DIRECTORY));
    const std::string directory = parts_of(path).directory;
    if (directory == ".") return at;
    for (const std::string_view part : split(directory, '/')) {
        const std::string name(part);
        if (make && ::mkdirat(at.get(), name.c_str(), 0755) != 0 && errno != EEXIST) {
            return system_error("make the directory of /" + printable(path) + " in the image", errno);
        }
        auto next = open_beneath(at.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (!next) {
            return std::move(next).error().during("/" + printable(directory) +
                                                  " of the image is no directory of its own");
        }
        at = *std::move(next);
    }
    return at;
}

bool ImageEditor::keeps(AdjustmentKind kind) const {
    return keeps_identity_ || (kind != AdjustmentKind::network && kind != AdjustmentKind::identity);
}

// The original itself is linked there: it keeps everything it has.
Result<std::string> ImageEditor::back_up(AdjustmentKind kind, const std::string& path) {
    if (!keeps(kind)) return std::string();
    const std::string backup = std::string(kBackupDirectory) + "/" + path;
    if (exists(backup)) return backup;
    ZF_TRY(const UniqueFd from, parent(path, false));
    ZF_TRY(const UniqueFd to, parent(backup, true));
    ZF_TRY(const UniqueFd top, open_beneath(root_, kBackupDirectory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    if (::fchmod(top.get(), 0700) != 0) return system_error("protect the backups in the image", errno);
    const std::string name = parts_of(path).name;
    if (::linkat(from.get(), name.c_str(), to.get(), name.c_str(), 0) != 0) {
        return system_error("keep a backup of /" + printable(path) + " in the image", errno);
    }
    return backup;
}

Result<std::string> ImageEditor::move_away(AdjustmentKind kind, const std::string& path) {
    if (!keeps(kind)) {
        ZF_TRY(const UniqueFd directory, parent(path, false));
        ZF_TRY_STATUS(remove_tree_at(directory.get(), parts_of(path).name));
        return std::string();
    }
    std::string backup = std::string(kBackupDirectory) + "/" + path;
    for (int number = 1; exists(backup); ++number) {
        if (number > kAdjustBackupsOfOnePathMax) {
            return Error(Errc::conflict, "the image holds too many backups of /" + printable(path));
        }
        backup = std::string(kBackupDirectory) + "/" + path + "." + std::to_string(number);
    }
    ZF_TRY(const UniqueFd from, parent(path, false));
    ZF_TRY(const UniqueFd to, parent(backup, true));
    ZF_TRY(const UniqueFd top, open_beneath(root_, kBackupDirectory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    if (::fchmod(top.get(), 0700) != 0) return system_error("protect the backups in the image", errno);
    if (::renameat(from.get(), parts_of(path).name.c_str(), to.get(), parts_of(backup).name.c_str()) != 0) {
        return system_error("put /" + printable(path) + " of the image aside", errno);
    }
    return backup;
}

// like: a descriptor whose owner, mode and attributes the new file gets, or -1: root's, with mode.
Status ImageEditor::put_new_file(const std::string& path, std::string_view content, int like, mode_t mode) {
    ZF_TRY(const UniqueFd directory, parent(path, true));
    const std::string temporary = ".zoneferry-p2v." + to_hex(random_bytes(8));
    ZF_TRY(const UniqueFd file,
           open_beneath(directory.get(), temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
    const auto finish = [&]() -> Status {
        ZF_TRY_STATUS(write_all(file.get(), as_bytes(content)));
        if (like >= 0) {
            ZF_TRY(const struct stat info, stat_fd(like));
            if (::fchown(file.get(), info.st_uid, info.st_gid) != 0) return system_error("set the owner", errno);
            if (::fchmod(file.get(), info.st_mode & 07777U) != 0) return system_error("set the mode", errno);
            copy_attributes(like, file.get());
        } else if (::fchmod(file.get(), mode) != 0) {
            return system_error("set the mode", errno);
        }
        const std::string name = parts_of(path).name;
        if (::renameat(directory.get(), temporary.c_str(), directory.get(), name.c_str()) != 0) {
            return system_error("rename", errno);
        }
        return {};
    };
    Status done = finish();
    if (done) return done;
    ::unlinkat(directory.get(), temporary.c_str(), 0);
    return std::move(done).error().during("writing /" + printable(path) + " of the image");
}

Status ImageEditor::edit(AdjustmentKind kind, const std::string& path, std::string_view content,
                         const std::string& done) {
    if (looks_only_) {
        ZF_TRY(const std::optional<std::string> now, text(path));
        if (!now || *now == content) return {};
        foresee(path, {.exists = true, .text = std::string(content)});
        note(kind, path, done);
        return {};
    }
    ZF_TRY(const std::optional<UniqueFd> file, open_file_in(path, kAdjustFileBytesMax));
    if (!file) return {};
    ZF_TRY(const std::string old, read_to_end(file->get(), kAdjustFileBytesMax));
    if (old == content) return {};
    ZF_TRY(const std::string backup, back_up(kind, path));
    ZF_TRY_STATUS(put_new_file(path, content, file->get(), 0));
    note(kind, path, done, backup);
    return {};
}

Status ImageEditor::write(AdjustmentKind kind, const std::string& path, std::string_view content, mode_t mode,
                          const std::string& done) {
    if (looks_only_) {
        const Foreseen* now = foreseen(path);
        const auto there = now == nullptr ? look(root_, path) : std::nullopt;
        const bool may_be_same = now != nullptr || (there && S_ISREG(there->st_mode) &&
                                                    static_cast<std::uint64_t>(there->st_size) == content.size());
        if (may_be_same) {
            ZF_TRY(const std::optional<std::string> old, text(path));
            if (old && *old == content) return {};
        }
        foresee(path, {.exists = true, .text = std::string(content)});
        note(kind, path, done);
        return {};
    }
    std::string backup;
    if (const auto there = look(root_, path)) {
        if (S_ISREG(there->st_mode) && static_cast<std::uint64_t>(there->st_size) == content.size()) {
            ZF_TRY(const std::optional<std::string> old, text(path));
            if (old && *old == content) return {};
        }
        ZF_TRY(backup, move_away(kind, path));
    }
    ZF_TRY_STATUS(put_new_file(path, content, -1, mode));
    note(kind, path, done, backup);
    return {};
}

Status ImageEditor::link(AdjustmentKind kind, const std::string& path, const std::string& target,
                         const std::string& done) {
    if (link_target(path) == target) return {};
    if (looks_only_) {
        foresee(path, {.exists = true, .link = target});
        note(kind, path, done);
        return {};
    }
    std::string backup;
    if (exists(path)) {
        ZF_TRY(backup, move_away(kind, path));
    }
    ZF_TRY(const UniqueFd directory, parent(path, true));
    if (::symlinkat(target.c_str(), directory.get(), parts_of(path).name.c_str()) != 0) {
        return system_error("make the link /" + printable(path) + " in the image", errno);
    }
    note(kind, path, done, backup);
    return {};
}

Status ImageEditor::put_aside(AdjustmentKind kind, const std::string& path, const std::string& done) {
    if (!exists(path)) return {};
    if (looks_only_) return take_away(kind, path, done);
    ZF_TRY(const std::string backup, move_away(kind, path));
    note(kind, path, done, backup);
    return {};
}

Status ImageEditor::rename(AdjustmentKind kind, const std::string& path, const std::string& new_name,
                           const std::string& done) {
    if (looks_only_) {
        const std::string place = parts_of(path).directory == "." ? "" : parts_of(path).directory + "/";
        if (exists(place + new_name)) return put_aside(kind, path, done);
        Foreseen moved{.exists = true, .is_directory = is_directory(path), .link = link_target(path)};
        if (!moved.is_directory && !moved.link) {
            ZF_TRY(moved.text, text(path));
        }
        foresee(place + new_name, std::move(moved));
        return take_away(kind, path, done);
    }
    ZF_TRY(const UniqueFd directory, parent(path, false));
    const std::string name = parts_of(path).name;
    if (::renameat2(directory.get(), name.c_str(), directory.get(), new_name.c_str(), RENAME_NOREPLACE) != 0) {
        if (errno != EEXIST) return system_error("rename /" + printable(path) + " of the image", errno);
        return put_aside(kind, path, done);
    }
    note(kind, path, done);
    return {};
}

Status ImageEditor::erase(AdjustmentKind kind, const std::string& path, const std::string& done) {
    if (!exists(path)) return {};
    if (looks_only_) return take_away(kind, path, done);
    ZF_TRY(const UniqueFd directory, parent(path, false));
    ZF_TRY_STATUS(remove_tree_at(directory.get(), parts_of(path).name));
    note(kind, path, done);
    return {};
}

Status ImageEditor::take_away(AdjustmentKind kind, const std::string& path, const std::string& done) {
    foresee(path, {});
    note(kind, path, done);
    return {};
}

Status ImageEditor::directory(AdjustmentKind kind, const std::string& path, mode_t mode) {
    const auto there = look(root_, path);
    if (there && !S_ISDIR(there->st_mode)) {
        ZF_TRY_STATUS(put_aside(kind, path, "is no directory: put aside"));
    }
    const bool is_right = there && S_ISDIR(there->st_mode) && (there->st_mode & 07777U) == mode;
    if (looks_only_) {
        std::vector<std::string> now;
        if (there && S_ISDIR(there->st_mode)) {
            ZF_TRY(now, names(path));
        }
        foresee(path, {.exists = true, .is_directory = true});
        if (!now.empty()) note(kind, path, kEmptied);
        if (!is_right && now.empty()) note(kind, path, kMade);
        return {};
    }
    ZF_TRY(const UniqueFd made, parent(path + "/.", true));
    bool was_full = false;
    ZF_TRY(const std::vector<std::string> entries, list_directory_fd(made.get()));
    for (const std::string& entry : entries) {
        ZF_TRY_STATUS(remove_tree_at(made.get(), entry));
        was_full = true;
    }
    if (::fchmod(made.get(), mode) != 0) return system_error("set the mode of /" + path, errno);
    if (was_full) note(kind, path, kEmptied);
    if (!is_right && !was_full) note(kind, path, kMade);
    return {};
}

void ImageEditor::note(AdjustmentKind kind, const std::string& path, const std::string& done,
                       const std::string& backup) {
    changes_.push_back({kind, path, done, backup});
}

}  // namespace zoneferry
